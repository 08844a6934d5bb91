"""Training runs: run directories, and the training and testing of a recipe's network."""
