"""`python -m keras_ilsvrc` is `keras-ilsvrc`."""

from keras_ilsvrc.cli import main
from keras_ilsvrc.cli.workers import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    main()
