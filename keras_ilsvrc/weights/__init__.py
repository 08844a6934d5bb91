"""Weights of other frameworks, copied by name: one source a file; takes a model."""
