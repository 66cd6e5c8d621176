"""Content digests of sets whose reading has not changed: studies that began earlier compare them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data.prepare import prepare
from harness.experiment.dataset_config import DatasetConfig

KNOWN = {
    "plain": "1623561d61fd6906",
    "inner folders": "ea7d8734e0f09161",
    "split": "d5fc690aaddf7ae1",
    "wrapped": "e4c0702afe613118",
    "flat": "aa40ea37ded0d18a",
    "grey": "d66a1bb6acb9123c",
    "beside": "31f873ad6c154716",
    "list.csv": "13b9190d3ccc528f",
    "x.npz": "07a24658af5b458e",
    "split.npz": "afe3e81701507769",
    "float.npz": "07a24658af5b458e",
    "words.npz": "dccb1ca559ba7b7f",
    "int.npz": "07a24658af5b458e",
    "float255.npz": "bac068b328bfcbc1",
    "digits": "95bf837740c11821",
}
"""Beginnings of digests, as the first version gave them."""


def ppm(path: str, seed: int, grey: bool = False) -> None:
    """A random image in a format that no library encodes."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.RandomState(seed).randint(0, 256, (5, 6, 1 if grey else 3)).astype(np.uint8)
    file.write_bytes(b"P%d 6 5 255\n" % (5 if grey else 6) + pixels.tobytes())


def make_folders() -> None:
    for label, name in enumerate(("b", "a", "c")):
        for index in range(6):
            ppm(f"plain/{name}/{index}.ppm", 100 * label + index)
        for index in range(3):
            ppm(f"inner folders/{name}/x/{index}.ppm", 100 * label + index)
            ppm(f"inner folders/{name}/y/{index}.ppm", 100 * label + index + 50)
        ppm(f"inner folders/{name}/top.ppm", 100 * label + 77)
    Path("plain/a/broken.ppm").write_bytes(b"not an image")
    for top, count in (("train", 5), ("val", 2), ("test", 3)):
        for label, name in enumerate(("b", "a")):
            for index in range(count):
                ppm(f"split/{top}/{name}/{index}.ppm", 1000 * count + 100 * label + index)
            for index in range(2):
                ppm(f"wrapped/inner/{top}/{name}/{index}.ppm", 1000 * count + 100 * label + index)
    for label, name in enumerate(("cat", "dog")):
        for index in range(5):
            ppm(f"flat/{name}_{index}.ppm", 100 * label + index)
            ppm(f"flat/{name}.x{index}.ppm", 100 * label + index + 50)
    rows = ["path,label,split"]
    for label, name in enumerate(("b", "a")):
        for index in range(5):
            ppm(f"grey/{name}/{index}.ppm", 100 * label + index, grey=True)
            ppm(f"beside/{name}/{index}.ppm", index + 100 * label)
            ppm(f"beside/test/{name}/{index}.ppm", index + 100 * label + 50)
        for index in range(6):
            odd, split = "odd" if index % 2 else "even", "test" if index > 3 else "train"
            rows.append(f"plain/{name}/{index}.ppm,{odd},{split}")
    Path("list.csv").write_text("\n".join(rows))


def make_arrays() -> None:
    x = np.random.RandomState(0).randint(0, 256, (40, 9, 7)).astype(np.uint8)
    y = np.arange(40) % 4
    np.savez("x.npz", x=x, y=y)
    a, b, c = slice(0, 20), slice(20, 28), slice(28, 40)
    np.savez("split.npz", x_train=x[a], y_train=y[a], x_val=x[b], y_val=y[b], x_test=x[c], y_test=y[c])
    np.savez("float.npz", x=x / 255, y=y)
    np.savez("words.npz", x=np.repeat(x[..., None], 3, 3), y=np.array(["b", "a"] * 20))
    np.savez("int.npz", x=x.astype(np.int64), y=y)
    np.savez("float255.npz", x=x.astype(np.float32), y=y, classes=np.array(list("wxyz")))


@pytest.mark.parametrize("name", KNOWN)
def test_the_digest_is_what_it_always_was(name: str) -> None:
    make_folders()
    make_arrays()
    changes: dict[str, Any] = {"plain": {"max_unreadable": 0.2}, "flat": {"layout": "prefix"}}.get(name, {})
    found = prepare(DatasetConfig(source=name, **changes), seed=0, progress=lambda *_: None)
    assert found.digest.startswith(KNOWN[name])
