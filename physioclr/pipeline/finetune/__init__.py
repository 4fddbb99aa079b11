"""Stage 3: an encoder and labels to a classifier and its figures (`jobs/finetune.py`)."""
