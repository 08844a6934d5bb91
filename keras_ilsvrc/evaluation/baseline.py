"""What a classifier without a network reaches on the same images."""

import numpy as np


def svm(train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, labels: np.ndarray) -> float:
    """Top-1 error in % of scikit-learn's SVC with its defaults on raw pixels.

    Args:
        train: Images (images, height, width, channels), uint8.
        train_labels: Their classes.
        test: Images of the same size.
        labels: Their classes.
    """
    from sklearn.svm import SVC

    classifier = SVC().fit(train.reshape(len(train), -1) / 255, train_labels)
    guesses = classifier.predict(test.reshape(len(test), -1) / 255)
    return float(100 * np.mean(guesses != labels))
