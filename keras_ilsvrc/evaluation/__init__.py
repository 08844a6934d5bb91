"""The papers' test protocols: from a model and images to errors."""
