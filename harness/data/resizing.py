"""Write a source's arrays into the memory-mapped arrays of the cache."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.data.chunks import pixel_hash
from harness.data.decoding import LABEL
from harness.data.manifest import VERSION, Manifest
from harness.data.source import ImageArrays
from harness.experiment.dataset_config import DatasetConfig
from harness.paths.prepared import hashes_file, images_file, labels_file
from harness.records import Progress


def write_arrays(arrays: ImageArrays, config: DatasetConfig, folder: Path, progress: Progress) -> Manifest:
    """Fill `folder` with the arrays of every pool, brought to the size and channels that are wanted."""
    size = arrays.pools["train"][0].shape[1:3]
    if isinstance(config.image_size, int):
        size = (config.image_size, config.image_size)
    elif config.image_size is not None:
        size = config.image_size
    native = arrays.pools["train"][0].shape[3]
    channels = 1 if config.color == "grey" else 3 if config.color == "rgb" else int(native)
    digest = hashlib.sha256(f"v{VERSION} {size} {channels} {arrays.classes}".encode())
    total, done = sum(len(labels) for _, labels in arrays.pools.values()), 0
    for pool, (images, labels) in arrays.pools.items():
        target = np.lib.format.open_memmap(
            images_file(folder, pool), "w+", np.uint8, (len(images), *size, channels)
        )
        hashes = np.zeros(len(images), np.uint64)
        for row, image in enumerate(images):
            target[row] = _fitted(image, (int(size[0]), int(size[1])), channels)
            hashes[row] = pixel_hash(target[row])
            done += 1
            if done % 5000 == 0 or done == total:
                progress(LABEL, done, total)
        target.flush()
        np.save(labels_file(folder, pool), labels.astype(np.int32))
        np.save(hashes_file(folder, pool), hashes)
        digest.update(f"{pool}\0".encode() + labels.astype("<i4").tobytes() + hashes.astype("<u8").tobytes())
    return Manifest(
        version=VERSION,
        name=arrays.name,
        digest=digest.hexdigest(),
        classes=list(arrays.classes),
        image_shape=[int(size[0]), int(size[1]), channels],
        pools={pool: len(labels) for pool, (_, labels) in arrays.pools.items()},
        warnings=list(arrays.warnings),
        pixel_range=arrays.pixel_range,
    )


def _fitted(image: npt.NDArray[np.uint8], size: tuple[int, int], channels: int) -> npt.NDArray[np.uint8]:
    if image.shape == (*size, channels):
        return image
    from PIL import Image

    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (size[1], size[0]):
        picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.uint8).reshape(*size, channels)
