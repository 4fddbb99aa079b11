"""A report as one HTML file that needs nothing else, neither network nor JavaScript: its frame, for every kind of run.

What a run does not have is left out with a sentence that says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np
import yaml
from jinja2 import Environment, StrictUndefined

from physioclr.report.figure import Picture


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What preparation found: `found` = `kept` + the sum of `rejected`, which counts recordings by reason."""

    found: int
    kept: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    note: str = ""  # e.g. which sources, how many patients, the splits


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under column names. Floats are shown with 4 significant digits, NaN and None as a dash."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with pictures or a table or, where there is neither, the sentence that says why. `about` explains."""

    title: str
    about: str
    picture: Picture | Sequence[Picture] | None
    missing: str = ""
    table: Table | None = None

    @property
    def pictures(self) -> Sequence[Picture]:
        """All of them, in order."""
        if self.picture is None:
            return ()
        return (self.picture,) if isinstance(self.picture, Picture) else self.picture


@dataclass(frozen=True, slots=True)
class Recordings:
    """What a prepared dataset was made of, if it is known: (reason, recordings, what it means) of the rejected."""

    dataset: DatasetFacts | None
    reasons: Sequence[tuple[str, int, str]]


def render_page(
    name: str,
    kind: str,
    config: Mapping[str, Any],
    summary: Table | None,
    sections: Sequence[Section],
    *,
    recordings: Recordings | None = None,
) -> str:
    """The HTML document of a run called `name`; `kind` says what it reports."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["cell"] = _cell
    template = environment.from_string(files("physioclr.report").joinpath("template.html").read_text("utf-8"))
    return template.render(
        name=name,
        kind=kind,
        config=yaml.safe_dump(_plain_types(config), sort_keys=False, allow_unicode=True),
        recordings=recordings,
        summary=summary,
        sections=sections,
    )


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float | np.floating) and not np.isfinite(value)):
        return "\u2013"  # a dash, for what is not known
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _plain_types(value: Any) -> Any:
    """What YAML can write: tuples become lists, everything unknown its text."""
    if isinstance(value, Mapping):
        return {str(key): _plain_types(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_types(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
