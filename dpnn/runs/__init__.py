"""Runs: what a run file says, how it is read, and what the jobs share. Driver."""
