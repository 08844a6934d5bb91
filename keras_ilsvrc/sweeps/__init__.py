"""Searches for hyperparameters: hypermodels for keras-tuner, and sweeps over recipes."""
