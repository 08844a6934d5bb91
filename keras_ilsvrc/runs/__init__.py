"""Training runs: their directory, and the way from a recipe to a trained and tested network."""
