"""Training runs: their directories, and training and testing the network of a recipe."""
