"""Benchmarks that run our code and other libraries' code alternately in one process."""
