"""Trained models: the model file, scoring, what outputs mean. Driver, but for what says else."""
