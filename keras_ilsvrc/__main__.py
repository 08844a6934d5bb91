"""`python -m keras_ilsvrc` is `keras-ilsvrc`."""

from keras_ilsvrc.cli import main

if __name__ == "__main__":
    main()
