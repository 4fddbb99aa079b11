"""Configurations to the best of them, on Ray Tune (`jobs/search.py`)."""
