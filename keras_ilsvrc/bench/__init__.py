"""Benchmarks of our code against other libraries, alternating in one process."""
