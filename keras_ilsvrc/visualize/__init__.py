"""Pictures of models and runs."""
