"""Training runs: run directories, and training and testing the network of a recipe."""
