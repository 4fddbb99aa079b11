"""Methods x tasks x label fractions x seeds to a table (`jobs/compare.py`)."""
