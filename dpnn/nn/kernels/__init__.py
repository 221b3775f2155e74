"""The array seam: what an array library must be good at, on NumPy or CuPy."""
