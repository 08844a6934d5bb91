"""Benchmarks of our code against other libraries, which take turns in one process."""
