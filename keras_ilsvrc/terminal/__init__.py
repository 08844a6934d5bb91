"""What is shown on the terminal: bars, messages and the standard streams."""
