"""Weights of other frameworks, copied into a model by name: one module per source."""
