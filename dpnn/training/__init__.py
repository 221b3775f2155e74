"""The training loop, its files and its run files: what the driver does around an engine."""
