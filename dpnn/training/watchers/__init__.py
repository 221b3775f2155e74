"""What happens around a fit's steps, each in a file of its own: they hear the loop's events."""
