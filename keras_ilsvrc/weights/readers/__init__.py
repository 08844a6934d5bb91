"""Readers of weight files, one module per format. They need no framework, and run no code."""
