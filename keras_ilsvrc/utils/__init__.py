"""Helpers of all packages: error messages, files, progress bars and the standard streams."""
