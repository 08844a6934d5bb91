"""Training of any `keras.Model`: strategy, optimizer, schedule, callbacks. Needs no recipe."""
