"""One small network, exported once for all tests that only look at the bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from harness.data.arrays import load
from harness.data.prepare import prepare
from harness.data.reference import keep_reference, reference_rows, reference_split
from harness.deploy.export import Bundle, export_model
from harness.deploy.trained import TrainedModel
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.parameters import complete
from harness.model.network import build, with_probabilities
from harness.model.preprocessing import PixelStatistics
from harness.paths import sha256_of
from harness.records import Evaluation, Params


def draw_pets(folder: Path) -> None:
    """Two classes of 20 files each: turned JPEGs, transparent PNGs, palettes, and five TIFFs among them."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(("cat", "dog")):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 90, (20, 26, 3))
            pixels[(slice(0, 7), slice(None)) if label else (slice(None), slice(0, 7))] += 150
            image = Image.fromarray(pixels.astype(np.uint8))
            file = folder / name / f"{number:02d}"
            if number % 4 == 0:
                exif = Image.Exif()
                exif[0x0112] = 6
                turned = image.transpose(Image.Transpose.ROTATE_90)
                turned.save(file.with_suffix(".jpg"), quality=95, exif=exif)
            elif number % 4 == 1:
                clear = image.convert("RGBA")
                clear.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 26).astype(np.uint8), (20, 1))))
                clear.save(file.with_suffix(".png"))
            elif number % 4 == 2:
                image.quantize(32).save(file.with_suffix(".gif"))
            else:
                image.save(file.with_suffix(".tif" if label else ".webp"))


def untrained(folder: Path, config: DatasetConfig) -> TrainedModel:
    """An untrained network serves as well: what matters is that every copy predicts the same."""
    dataset = prepare(config, seed=0, progress=lambda *_: None, cache=folder / "cache")
    statistics = PixelStatistics((70.0,) * dataset.image_shape[2], (90.0,) * dataset.image_shape[2])
    params = complete({"depth": 1, "width": 4})
    model = with_probabilities(build(params, dataset.image_shape, len(dataset.classes), statistics))
    file = folder / "trial" / "model.keras"
    file.parent.mkdir()
    model.save(file)
    split = reference_split(dataset.counts["validation"])
    indices = reference_rows(dataset.counts[split])
    images = load(dataset).on_disk(split)[0][indices]
    probabilities = keras.ops.convert_to_numpy(model(images.astype(np.float32)))
    np.savez(file.with_name("reference.npz"), indices=indices, probabilities=probabilities, split=split)
    return TrainedModel(file, sha256_of(file), dataset, {"study": "pets"})


@pytest.fixture(scope="session")
def pets_model(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """A network for `draw_pets`, with the study's reference images, whose data set is gone."""
    folder = tmp_path_factory.mktemp("pets")
    draw_pets(folder / "pets")
    model = untrained(folder, DatasetConfig(source=str(folder / "pets")))
    keep_reference(folder / "reference", model.dataset)
    (folder / "pets").rename(folder / "gone")
    (folder / "cache").rename(folder / "gone-too")
    return replace(model, reference=folder / "reference")


@pytest.fixture(scope="session")
def pets_bundle(pets_model: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export_model(pets_model, tmp_path_factory.mktemp("bundle") / "pets", formats=["saved_model"])


def learnt(
    folder: Path, params: Params, epochs: int = 8, config: DatasetConfig | None = None
) -> TrainedModel:
    """A network that has learnt the digits, or another data set of grey pictures, as a study would leave it.

    Args:
        folder: for its files.
        params: those that are not the defaults.
        epochs: of training.
        config: the data set; None for the digits.
    """
    config = config or DatasetConfig()
    dataset = prepare(config, seed=0, progress=lambda *_: None, cache=folder / "cache")
    arrays = load(dataset)
    keras.utils.set_random_seed(0)
    params = complete(params)
    statistics = PixelStatistics((78.0,), (96.0,))
    network = build(params, dataset.example_shape, len(dataset.classes), statistics)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer=keras.optimizers.Adam(0.005), loss=loss)
    images, labels = arrays.train()
    network.fit(images.astype(np.float32), labels, batch_size=32, epochs=epochs, verbose=0)
    network = with_probabilities(network)
    file = folder / "trial" / "model.keras"
    file.parent.mkdir()
    network.save(file)
    images, labels = arrays.validation()
    probabilities = keras.ops.convert_to_numpy(network(images.astype(np.float32)))
    rows = reference_rows(len(images))
    np.savez(
        file.with_name("reference.npz"),
        indices=rows,
        probabilities=probabilities[rows],
        split="validation",
    )
    keep_reference(folder / "reference", dataset)
    return TrainedModel(
        file,
        sha256_of(file),
        dataset,
        {"study": dataset.name, "trial": 0, "params": params},
        reference=folder / "reference",
        evaluations=(evaluated(dataset.classes, labels, probabilities.argmax(axis=1)),),
        licences={"data": "CC-BY-4.0"},
    )


def evaluated(
    classes: tuple[str, ...], labels: npt.NDArray[np.int32], predicted: npt.NDArray[np.int64]
) -> Evaluation:
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (labels, predicted), 1)
    per_class = [
        {"class": name, "support": int(confusion[index].sum())} for index, name in enumerate(classes)
    ]
    accuracy = float(confusion.trace() / confusion.sum())
    return Evaluation(
        split="validation",
        metrics={"accuracy": accuracy},
        per_class=per_class,
        confusion=confusion.tolist(),
    )


@pytest.fixture(scope="session")
def digits_model(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """A convolutional network that has learnt the digits."""
    return learnt(tmp_path_factory.mktemp("digits"), {"depth": 2, "width": 8, "dropout": 0.0})


@pytest.fixture(scope="session")
def digits_bundle(digits_model: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The network in every format there is, and as an archive."""
    return export_model(digits_model, tmp_path_factory.mktemp("bundle") / "digits", archive=True)


@pytest.fixture(scope="session")
def pets_files(pets_model: TrainedModel) -> list[Path]:
    """The files that the network's data set was made of."""
    assert pets_model.reference is not None
    return sorted((pets_model.reference.parent / "gone").rglob("*.*"))
