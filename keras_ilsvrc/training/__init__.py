"""Training of any `keras.Model`: strategies, optimizers, schedules, callbacks and checkpoints."""
