"""Every format of exported models keeps the same promises: one suite, run on each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import yaml

from harness.data.arrays import load
from harness.data.decode import MAX_PIXELS, UnreadableError, decode
from harness.data.file_kinds import format_of
from harness.data.prepare import prepare
from harness.deploy.checksums import verify_bundle
from harness.deploy.converter import Converter
from harness.deploy.export import Bundle, export_model
from harness.deploy.files_parity import FilesParity
from harness.deploy.formats import FORMATS
from harness.deploy.formats.format import ExportFormat, FileReader, ModelToExport, SeenFile
from harness.deploy.runtimes.answers import Answers, answers_here
from harness.deploy.tolerance import FLOAT32
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


def load_numbers(file: Path, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    with np.load(file) as stored:
        kernel, bias = stored["kernel"], stored["bias"]
    logits = images.reshape(len(images), -1).astype(np.float32) @ kernel + bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: npt.NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def answer_numbers(file: Path, _: Dataset, images: npt.NDArray[np.uint8]) -> Answers:
    return answers_here(lambda some: load_numbers(file, some), images)


def reader_of_numbers(file: Path, dataset: Dataset) -> FileReader:
    def read(content: bytes) -> SeenFile | str:
        height, width, channels = dataset.image_shape
        try:
            found = decode(content, (height, width), channels)
        except UnreadableError as error:
            return str(error)
        if format_of(found.kind) in ("TIFF", "PPM"):
            return "the file is of another kind."
        return SeenFile(found.pixels, load_numbers(file, found.pixels[None])[0])

    return FileReader("read", read)


NUMBERS = ExportFormat(
    file="numbers.npz",
    title="file of numbers",
    about="The weights of a model of one layer, for NumPy.",
    write=write_numbers,
    answer=answer_numbers,
    reader=reader_of_numbers,
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


def saved(folder: Path, seed: int, dataset: Dataset) -> Iterator[ModelToExport]:
    folder.mkdir()
    network = one_layer(seed)
    network.save(folder / "model.keras")
    with Converter(folder / "model.keras", load(dataset).train()[0][:64]) as converter:
        yield ModelToExport(folder / "model.keras", network, dataset, MAX_PIXELS, converter)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Iterator[ModelToExport]:
    yield from saved(tmp_path_factory.mktemp("model") / "trial", 1, dataset)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Iterator[ModelToExport]:
    yield from saved(tmp_path_factory.mktemp("other") / "trial", 2, dataset)


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
    target.parent.mkdir(exist_ok=True)
    exported.write(model, target)
    images = load(model.dataset).validation()[0][:41]
    answers = exported.answer(target, model.dataset, images)
    assert answers.probabilities
    for found in answers.probabilities.values():
        assert found.dtype == np.float32
        near = 1e-5 if exported.tolerance == FLOAT32 else 0.05
        np.testing.assert_allclose(found, predicted(model.network, images), atol=near)
    for latency in (answers.single, answers.batch):
        assert 0 < latency.median <= latency.p95


def test_a_format_is_described_and_its_file_is_its_own(exported: ExportFormat, dataset: Dataset) -> None:
    assert exported.about.endswith(".")
    assert exported.title
    named = "any of the `.tflite` files" if exported.extra == "litert" else exported.file
    assert named in exported.usage(dataset, ("PNG",))
    others = [one.file for one in FORMATS.values() if one is not exported]
    taken = (
        names.LABELS, names.METADATA, names.README, names.CHECKSUMS, names.SAMPLE_INPUT,
        names.EXPECTED_OUTPUT, names.REQUIREMENTS,
    )  # fmt: skip
    assert exported.file not in (*others, *taken)


def test_a_bundle_holds_describes_and_has_tried_every_format(
    exported: ExportFormat, bundle: Bundle, dataset: Dataset
) -> None:
    assert bundle.left_out == ()
    assert (bundle.folder / exported.file).exists()
    assert verify_bundle(bundle.folder) == []
    described = yaml.safe_load((bundle.folder / names.METADATA).read_text())
    assert described["artefacts"][exported.file] == exported.about
    assert exported.entries.items() <= described["input"]["signatures"].items()
    readme = (bundle.folder / names.README).read_text()
    assert f"- `{exported.file}`: {exported.about}" in readme
    of_it = [one for one in bundle.parity if one.artefact.split(" ")[0] == exported.file]
    # Keras's own is compared with what training recorded, too.
    assert len(of_it) == 1 + (exported.reader is not None) + (exported.file == names.KERAS_MODEL)
    (line,) = [one for one in bundle.figures if one.file == exported.file]
    assert line.images == dataset.counts["validation"] > 64
    assert line.size > 0
    for one in of_it:
        assert one.largest_difference < (1e-4 if exported.tolerance == FLOAT32 else 0.05)
        assert one.artefact in [parity["artefact"] for parity in described["parity"]]
        if isinstance(one, FilesParity):
            assert one.drawn == one.images == one.same_class == 35


def test_another_model_in_its_place_is_not_exported(
    exported: ExportFormat,
    trained: TrainedModel,
    other: ModelToExport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = replace(exported, write=lambda _, target: exported.write(other, target))
    monkeypatch.setattr("harness.deploy.choosing.FORMATS", {"wrong": wrong})
    with pytest.raises(ExportError, match=f"^{exported.file}.* does not predict what the trained model did"):
        export_model(trained, Path("out"))
    assert list(Path().iterdir()) == []


def test_a_reader_that_sees_another_picture_is_not_exported(
    trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reader_upside_down(file: Path, dataset: Dataset) -> FileReader:
        right = reader_of_numbers(file, dataset).read

        def read(content: bytes) -> SeenFile | str:
            seen = right(content)
            return seen if isinstance(seen, str) else replace(seen, pixels=seen.pixels[::-1])

        return FileReader("read", read)

    upside_down = replace(NUMBERS, reader=reader_upside_down)
    monkeypatch.setattr("harness.deploy.choosing.FORMATS", {"numbers": upside_down})
    with pytest.raises(ExportError, match="The exported file of numbers sees something else in"):
        export_model(trained, Path("out"))
    assert list(Path().iterdir()) == []
