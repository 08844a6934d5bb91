"""Baseline for a network on the same images: a support vector machine."""

import numpy as np


def svm(train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, labels: np.ndarray) -> float:
    """Return the top-1 error in % of scikit-learn's SVC with its defaults on raw pixels.

    Args:
        train: Images (images, height, width, channels), uint8.
        train_labels: Classes of `train`, (images,).
        test: Images to test on, of the same size.
        labels: Classes of `test`, (images,).
    """
    from sklearn.svm import SVC

    classifier = SVC().fit(train.reshape(len(train), -1) / 255, train_labels)
    guesses = classifier.predict(test.reshape(len(test), -1) / 255)
    return float(100 * np.mean(guesses != labels))
