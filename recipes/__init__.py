"""One TOML file a run; installed as `keras_ilsvrc.recipes`."""
