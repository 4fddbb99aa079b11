"""Stage 1: recordings to a prepared dataset, on Ray Data (`jobs/prepare.py`)."""
