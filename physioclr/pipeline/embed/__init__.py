"""Recordings through an exported network (`jobs/embed.py`, and wherever embeddings or scores are needed)."""
