"""The network's configuration and its weights, each in a file that needs no Keras to be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.deploy.formats.format import ExportFormat, ModelToExport
from harness.records import Dataset

if TYPE_CHECKING:
    from harness.deploy.formats.format import Images, Probabilities
    from harness.deploy.runtimes.answers import Answers


def _write(model: ModelToExport, target: Path) -> None:
    import numpy as np

    target.mkdir()
    (target / "network.json").write_text(model.network.to_json())
    np.savez(target / "weights.npz", *model.network.get_weights())


def _answer(folder: Path, _: Dataset, images: Images) -> Answers:
    import keras
    import numpy as np

    from harness.deploy.runtimes.answers import answers_here

    network = keras.models.model_from_json((folder / "network.json").read_text())
    weights = np.load(folder / "weights.npz")
    network.set_weights([weights[name] for name in weights.files])

    def predict(some: Images) -> Probabilities:
        probabilities: Probabilities = network(some.astype("float32")).numpy()
        return probabilities

    return answers_here(predict, images)


FORMAT = ExportFormat(
    file="parts",
    title="Parts",
    about="Configuration and weights apart.",
    write=_write,
    answer=_answer,
    usage=lambda *_: "See `parts`.\n",
)
