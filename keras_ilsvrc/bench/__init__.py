"""Benchmarks of this package. Most of them run its code alternately with other libraries' code."""
