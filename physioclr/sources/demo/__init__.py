"""Recordings made here: patients with hearts of their own, labelled, as many as asked for, no data needed."""

from physioclr.sources.demo.source import DemoSource

__all__ = ["DemoSource"]
