"""Image data: sources with access by index, preprocessing ops, and reproducible batches."""
