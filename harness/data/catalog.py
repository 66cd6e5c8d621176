"""The data sets that are known by name."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.data.source import ImageArrays
from harness.errors import DataError

DOWNLOAD_SECONDS = 1800
STALL_SECONDS = 20

_DIGITS = tuple("0123456789")


@dataclass(frozen=True, slots=True)
class KerasSet:
    """A data set that Keras downloads and checks."""

    about: str
    classes: tuple[str, ...]
    file: str
    """Where Keras looks for it, relative to its data folder."""


KERAS_SETS: dict[str, KerasSet] = {
    "cifar10": KerasSet(
        "60,000 colour photographs of 32×32 in 10 classes",
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        "cifar-10-batches-py-target.tar.gz",
    ),
    "cifar100": KerasSet(
        "60,000 colour photographs of 32×32 in 100 classes",
        (
            "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
            "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
            "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup",
            "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house",
            "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man",
            "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
            "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
            "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew",
            "skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower",
            "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor", "train", "trout",
            "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
        ),
        "cifar-100-python-target.tar.gz",
    ),
    "mnist": KerasSet("70,000 handwritten digits of 28×28", _DIGITS, "mnist.npz"),
    "fashion_mnist": KerasSet(
        "70,000 pictures of clothes of 28×28 in 10 classes",
        (
            "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
            "ankle_boot",
        ),
        "fashion-mnist/train-images-idx3-ubyte.gz",
    ),
}  # fmt: skip


def read_digits() -> ImageArrays:
    """scikit-learn's digits, its 17 grey levels spread over 0…255."""
    import numpy as np
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    return ImageArrays("digits", _DIGITS, {"train": (images, bunch.target.astype(np.int32))})


def read_keras_set(name: str) -> ImageArrays:
    """A data set from Keras, in a process of its own so that TensorFlow stays out of this one.

    Raises:
        DataError: it is not on disk and cannot be downloaded.
    """
    import numpy as np

    known = KERAS_SETS[name]
    script = (
        "import socket, sys, numpy as np\n"
        # Keras turns the arrays' axes by the user's settings.
        "from harness.model.keras_setup import import_keras_alone\n"
        "import_keras_alone()\n"
        f"socket.setdefaulttimeout({STALL_SECONDS})\n"
        f"from keras.datasets import {name} as found\n"
        "(x, y), (u, v) = found.load_data()\n"
        "np.savez(sys.argv[1], x=x, y=y.ravel(), u=u, v=v.ravel())\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "arrays.npz"
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-c", script, str(target)],
                capture_output=True,
                text=True,
                timeout=DOWNLOAD_SECONDS,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
                check=False,
            )
            reason = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
            failed = done.returncode != 0
        except subprocess.TimeoutExpired:
            failed, reason = True, f"it took more than {DOWNLOAD_SECONDS} s"
        if failed:
            home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
            place = home / "datasets" / known.file
            also = " and its three sibling files" if name == "fashion_mnist" else ""
            raise DataError(
                f"The data set {name} could not be downloaded ({reason[:300]}). Put the file at "
                f"{place}{also}, or use `--dataset digits`, which needs no download."
            )
        with np.load(target, allow_pickle=False) as stored:
            train = stored["x"].astype(np.uint8), stored["y"].astype(np.int32)
            test = stored["u"].astype(np.uint8), stored["v"].astype(np.int32)
    shaped = {
        pool: (images if images.ndim == 4 else images[..., None], labels)
        for pool, (images, labels) in (("train", train), ("test", test))
    }
    return ImageArrays(name, known.classes, shaped)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A data set that is known by name."""

    about: str
    """A sentence for people, without its end."""
    read: Callable[[], ImageArrays]
    """Raises DataError if it is not on disk and cannot be downloaded."""


CATALOG: dict[str, BuiltIn] = {
    "digits": BuiltIn(
        "1,797 handwritten digits of 8×8, bundled with scikit-learn: nothing to download", read_digits
    ),
    **{name: BuiltIn(known.about, partial(read_keras_set, name)) for name, known in KERAS_SETS.items()},
}
"""Built-in data sets by name."""
