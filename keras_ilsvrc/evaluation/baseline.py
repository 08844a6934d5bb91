"""Support vector machine (SVM), a baseline for networks that are tested on the same images."""

import numpy as np


def svm(train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, labels: np.ndarray) -> float:
    """Train scikit-learn's `SVC` with default settings on pixels; return its top-1 error in %.

    Args:
        train: Images (images, height, width, channels), uint8.
        train_labels: Class indices of `train`, (images,).
        test: Test images of the same height, width and channels, uint8.
        labels: Class indices of `test`, (images,).
    """
    from sklearn.svm import SVC

    classifier = SVC().fit(train.reshape(len(train), -1) / 255, train_labels)
    guesses = classifier.predict(test.reshape(len(test), -1) / 255)
    return float(100 * np.mean(guesses != labels))
