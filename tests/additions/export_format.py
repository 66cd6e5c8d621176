"""The network's configuration and its weights, each in a file that needs no Keras to be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.deploy.formats.format import ExportFormat, LoadedModel, ModelToExport
from harness.records import Dataset

if TYPE_CHECKING:
    from harness.deploy.formats.format import Images, Probabilities


def _write(model: ModelToExport, target: Path) -> None:
    import numpy as np

    target.mkdir()
    (target / "network.json").write_text(model.network.to_json())
    np.savez(target / "weights.npz", *model.network.get_weights())


def _load(folder: Path, _: Dataset) -> LoadedModel:
    import keras
    import numpy as np

    network = keras.models.model_from_json((folder / "network.json").read_text())
    weights = np.load(folder / "weights.npz")
    network.set_weights([weights[name] for name in weights.files])

    def predict(images: Images) -> Probabilities:
        probabilities: Probabilities = network(images.astype("float32")).numpy()
        return probabilities

    return LoadedModel({"": predict})


FORMAT = ExportFormat(
    file="parts",
    title="Parts",
    about="Configuration and weights apart.",
    write=_write,
    load=_load,
    usage=lambda *_: "See `parts`.\n",
)
