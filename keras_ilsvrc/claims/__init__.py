"""Claims of the papers and the order of nets in the challenge, tested by training."""
