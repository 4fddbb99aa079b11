"""Stage 2: a prepared dataset to an encoder (`jobs/pretrain.py`)."""
