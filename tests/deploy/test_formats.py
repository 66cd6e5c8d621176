"""Every format of exported models keeps the same promises: one suite, run on each."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from harness.data.arrays import load
from harness.data.decode import MAX_PIXELS, UnreadableError, decode
from harness.data.file_kinds import format_of
from harness.data.prepare import prepare
from harness.deploy.checksums import verify_bundle
from harness.deploy.export import Bundle, export_model
from harness.deploy.files_parity import FilesParity
from harness.deploy.formats import FORMATS
from harness.deploy.formats.format import ExportFormat, FileReader, LoadedModel, ModelToExport, SeenFile
from harness.deploy.trained import TrainedModel
from harness.errors import ExportError
from harness.experiment.dataset_config import DatasetConfig
from harness.paths import bundle as names
from harness.paths import sha256_of
from harness.records import Dataset

pytestmark = pytest.mark.slow


def write_numbers(model: ModelToExport, target: Path) -> None:
    kernel, bias = model.network.get_weights()
    with target.open("wb") as stream:
        np.savez(stream, kernel=kernel, bias=bias)


def load_numbers(file: Path, dataset: Dataset) -> LoadedModel:
    with np.load(file) as stored:
        kernel, bias = stored["kernel"], stored["bias"]

    def predict(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        logits = images.reshape(len(images), -1).astype(np.float32) @ kernel + bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: npt.NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
        return probabilities

    def read(content: bytes) -> SeenFile | str:
        height, width, channels = dataset.image_shape
        try:
            found = decode(content, (height, width), channels)
        except UnreadableError as error:
            return str(error)
        if format_of(found.kind) in ("TIFF", "PPM"):
            return "the file is of another kind."
        return SeenFile(found.pixels, predict(found.pixels[None])[0])

    return LoadedModel({"": predict}, FileReader("read", read))


NUMBERS = ExportFormat(
    file="numbers.npz",
    title="file of numbers",
    about="The weights of a model of one layer, for NumPy.",
    write=write_numbers,
    load=load_numbers,
    usage=lambda dataset, read: f"With NumPy: `numbers.npz`, {len(dataset.classes)} classes, {len(read)}.\n",
    entries={"read": "image files"},
)
"""A format that is not registered: one file and one line would make it one."""


@pytest.fixture(params=[*FORMATS, "numbers"])
def exported(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ExportFormat:
    monkeypatch.setitem(FORMATS, "numbers", NUMBERS)
    return FORMATS[request.param]


def one_layer(seed: int) -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    weights = keras.initializers.RandomNormal(stddev=0.002, seed=seed)
    layer = keras.layers.Dense(10, "softmax", kernel_initializer=weights)
    return keras.Model(inputs, layer(keras.layers.Flatten()(inputs)))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    cache = tmp_path_factory.mktemp("cache")
    return prepare(DatasetConfig(), seed=0, progress=lambda *_: None, cache=cache)


def saved(folder: Path, seed: int, dataset: Dataset) -> ModelToExport:
    folder.mkdir()
    network = one_layer(seed)
    network.save(folder / "model.keras")
    return ModelToExport(folder / "model.keras", network, dataset, MAX_PIXELS)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> ModelToExport:
    return saved(tmp_path_factory.mktemp("model") / "trial", 1, dataset)


@pytest.fixture(scope="module")
def trained(model: ModelToExport) -> TrainedModel:
    images, _ = load(model.dataset).validation()
    indices = np.arange(0, 40, 2)
    np.savez(
        model.file.with_name("reference.npz"),
        indices=indices,
        probabilities=predicted(model.network, images[indices]),
        split="validation",
    )
    return TrainedModel(model.file, sha256_of(model.file), model.dataset, {"study": "s"})


@pytest.fixture(scope="module")
def bundle(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FORMATS, "numbers", NUMBERS)
        return export_model(trained, tmp_path_factory.mktemp("bundle") / "out")


def predicted(network: Any, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = keras.ops.convert_to_numpy(network(images.astype(np.float32)))
    return found


def test_what_was_written_is_loaded_and_predicts_the_same(
    exported: ExportFormat, model: ModelToExport, tmp_path: Path
) -> None:
    target = tmp_path / exported.file
    exported.write(model, target)
    loaded = exported.load(target, model.dataset)
    images, _ = load(model.dataset).validation()
    assert loaded.pixels
    for predict in loaded.pixels.values():
        for some in (images[:1], images[:9]):
            found = predict(some)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, predicted(model.network, some), atol=1e-5)


def test_a_format_is_described_and_its_file_is_its_own(exported: ExportFormat, dataset: Dataset) -> None:
    assert exported.about.endswith(".")
    assert exported.title
    assert exported.file in exported.usage(dataset, ("PNG",))
    others = [one.file for one in FORMATS.values() if one is not exported]
    assert exported.file not in (*others, names.LABELS, names.METADATA, names.README, names.CHECKSUMS)


def test_a_bundle_holds_describes_and_has_tried_every_format(
    exported: ExportFormat, bundle: Bundle, dataset: Dataset
) -> None:
    assert (bundle.folder / exported.file).exists()
    assert verify_bundle(bundle.folder) == []
    described = json.loads((bundle.folder / names.METADATA).read_text())
    assert described["artefacts"][exported.file] == exported.about
    assert exported.entries.items() <= described["input"]["signatures"].items()
    readme = (bundle.folder / names.README).read_text()
    assert f"- `{exported.file}`: {exported.about}" in readme
    of_it = [one for one in bundle.parity if one.artefact.split(" ")[0] == exported.file]
    loaded = exported.load(bundle.folder / exported.file, dataset)
    assert len(of_it) == 1 + (loaded.files is not None)
    for one in of_it:
        assert one.largest_difference < 1e-4
        assert one.artefact in [parity["artefact"] for parity in described["parity"]]
        if isinstance(one, FilesParity):
            assert one.drawn == one.images == one.same_class == 35


def test_another_model_in_its_place_is_not_exported(
    exported: ExportFormat,
    trained: TrainedModel,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = saved(tmp_path / "other", 2, dataset)
    wrong = replace(exported, write=lambda _, target: exported.write(other, target))
    monkeypatch.setattr("harness.deploy.export.FORMATS", {"wrong": wrong})
    with pytest.raises(ExportError, match=f"^{exported.file}.* does not predict what the trained model did"):
        export_model(trained, Path("out"))
    assert list(Path().iterdir()) == []


def test_a_reader_that_sees_another_picture_is_not_exported(
    trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_upside_down(file: Path, dataset: Dataset) -> LoadedModel:
        loaded = load_numbers(file, dataset)
        assert loaded.files is not None
        right = loaded.files.read

        def read(content: bytes) -> SeenFile | str:
            seen = right(content)
            return seen if isinstance(seen, str) else replace(seen, pixels=seen.pixels[::-1])

        return replace(loaded, files=FileReader("read", read))

    upside_down = replace(NUMBERS, load=load_upside_down)
    monkeypatch.setattr("harness.deploy.export.FORMATS", {"numbers": upside_down})
    with pytest.raises(ExportError, match="The exported file of numbers sees something else in"):
        export_model(trained, Path("out"))
    assert list(Path().iterdir()) == []
