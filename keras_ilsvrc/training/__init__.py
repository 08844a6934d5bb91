"""Training of any `keras.Model`: strategy, optimizer, schedule, callbacks. Knows no recipe."""
