"""Terminal output: progress bars and the standard streams."""
