"""Labels that confident predictions contradict: confident learning (Northcutt, Jiang, Chuang 2021)."""

from __future__ import annotations

import warnings
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from harness.records import Progress

FOLDS = 5
REGULARISATION = 12.8
"""Inverse strength times the number of features, which have deviation 1: `C` is 0.01 for 1,280 of them."""
STEPS = 100
LABEL = "predicting labels"
SMALL = 20_000_000
"""Numbers of features times classes below which several threads would mostly wait for each other."""

Labels: TypeAlias = npt.NDArray[np.int64]
Probabilities: TypeAlias = npt.NDArray[np.float64]


def out_of_fold(
    features: npt.NDArray[np.float32],
    labels: Labels,
    groups: npt.NDArray[np.int64],
    seed: int,
    progress: Progress = lambda *_: None,
) -> Probabilities:
    """Class probabilities of every image by a logistic regression that has not seen it.

    Args:
        features: float32 (N, F).
        labels: int64 (N,), 0 to K − 1, each of them in at least two groups.
        groups: int64 (N,); images of one group, such as identical ones, are in one fold.
        seed: decides the folds.
        progress: told how many folds are done.

    Returns:
        float64 (N, K).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    found = np.zeros((len(labels), int(labels.max()) + 1))
    fold_of = _folds(labels, groups, seed)
    threads = 1 if features.size * found.shape[1] < SMALL else None
    folds = int(fold_of.max()) + 1
    for fold in range(folds):
        progress(LABEL, fold, folds)
        held = fold_of == fold
        inverse = REGULARISATION / features.shape[1]
        model = make_pipeline(StandardScaler(), LogisticRegression(C=inverse, max_iter=STEPS))
        with warnings.catch_warnings(), threadpool_limits(threads):
            warnings.simplefilter("ignore")  # probabilities are good enough before the last digit is
            model.fit(features[~held], labels[~held])
        found[np.ix_(held, model.classes_)] = model.predict_proba(features[held])
    progress(LABEL, folds, folds)
    return found


def contradicted(probabilities: Probabilities, labels: Labels) -> tuple[Labels, Labels]:
    """Images that seem to be of another class, the most doubtful first.

    How many there are is what the confident joint has off its diagonal; it is those whose label is most less
    likely than the likeliest class.

    Args:
        probabilities: out of fold, float64 (N, K).
        labels: int64 (N,), each of the K at least once.

    Returns:
        Positions of the images, and the class that each seems to be of.
    """
    joint = _joint(probabilities, labels)
    number = round(float(joint.sum() - np.trace(joint)))
    likely = probabilities.argmax(axis=1)
    order = by_doubt(probabilities, labels)[:number]
    order = order[likely[order] != labels[order]]
    return order, likely[order]


def by_doubt(probabilities: Probabilities, labels: Labels) -> Labels:
    """All images, those first whose label is most less likely than the likeliest class.

    Args:
        probabilities: out of fold, float64 (N, K).
        labels: int64 (N,).

    Returns:
        Their positions, int64 (N,).
    """
    own = probabilities[np.arange(len(labels)), labels]
    return np.argsort(own - probabilities.max(axis=1), kind="stable")


def _joint(probabilities: Probabilities, labels: Labels) -> Probabilities:
    """The confident joint: estimates of how many images that are labelled i are of class j, float64 (K, K).

    An image counts for a class if its probability reaches the mean probability of that class among the images
    that are labelled so; of several such classes for the likeliest. Rows are scaled to the number of images.
    """
    classes = probabilities.shape[1]
    thresholds = np.array([probabilities[labels == label, label].mean() for label in range(classes)])
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    counted = confident.max(axis=1) >= 0
    joint = np.zeros((classes, classes))
    np.add.at(joint, (labels[counted], confident.argmax(axis=1)[counted]), 1.0)
    totals = joint.sum(axis=1, keepdims=True)
    found: Probabilities = joint / np.maximum(totals, 1.0) * np.bincount(labels, minlength=classes)[:, None]
    return found


def _folds(labels: Labels, groups: npt.NDArray[np.int64], seed: int) -> Labels:
    """The fold of every image, int64 (N,): stratified, and one for all images of a group."""
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    label_of, fold_of = labels[first], np.zeros(len(first), np.int64)
    rng = np.random.default_rng(seed)
    smallest = int(np.bincount(label_of).min())
    number = max(2, min(FOLDS, smallest))
    for label in range(int(labels.max()) + 1):
        members = rng.permutation(np.flatnonzero(label_of == label))
        fold_of[members] = np.arange(len(members)) % number
    found: Labels = fold_of[group]
    return found
