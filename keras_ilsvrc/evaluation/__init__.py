"""Test protocols: a model and images to errors. Knows no recipe."""
