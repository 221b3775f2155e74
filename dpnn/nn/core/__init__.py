"""The book: what a network library is, complete by itself, in under 1,000 lines of code."""
