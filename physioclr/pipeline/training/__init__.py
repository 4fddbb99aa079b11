"""What pretraining and fine-tuning share: order of samples, feeding, the loop, checkpoints, placement, on Ray Train."""
