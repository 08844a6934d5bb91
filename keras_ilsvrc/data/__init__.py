"""Image data: sources read by index, preprocessing ops, and batches in a reproducible order."""
