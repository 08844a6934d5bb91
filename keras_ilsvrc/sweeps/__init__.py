"""Searches for good hyperparameters."""
