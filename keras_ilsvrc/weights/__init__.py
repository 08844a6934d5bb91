"""Copying of weights from other frameworks into a model by name; one module per framework."""
