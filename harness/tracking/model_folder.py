"""An MLflow model folder around a `.keras` file, made without loading the model or TensorFlow.

It is what `mlflow.keras.save_model` would write, so that `mlflow.keras.load_model` reads it; a test compares
the two. But for `mlflow.pyfunc.load_model` it brings a loader of its own, `pixels_model.py`: MLflow's takes
no lists, and a signature with inputs makes MLflow refuse every number type but the one that it names. So the
signature names outputs only, and the input is described in the metadata.
"""

from __future__ import annotations

import platform
import shutil
from importlib import metadata
from pathlib import Path

from harness.records import Dataset, EnsembleSaved, ModelSaved

REQUIREMENTS = ("tensorflow", "keras", "mlflow", "numpy")
CODE = "code"
LOADER = "harness_pixels_model"
"""The name under which MLflow imports the loader."""


def write_model_folder(
    folder: Path,
    keras_file: Path,
    dataset: Dataset,
    event: ModelSaved | EnsembleSaved,
    run_id: str,
    model_id: str,
) -> None:
    """Fill `folder`: input (N, H, W, C) raw pixels 0…255 of any number type, output float32 (N, K)."""
    import numpy as np
    import yaml
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    data = folder / "data"
    data.mkdir(parents=True)
    shutil.copyfile(keras_file, data / "model.keras")
    (data / "keras_module.txt").write_text("keras")
    (folder / CODE).mkdir()
    shutil.copyfile(Path(__file__).with_name("pixels_model.py"), folder / CODE / f"{LOADER}.py")
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in dataset.classes), encoding="utf-8")

    requirements = [f"{name}=={metadata.version(name)}" for name in REQUIREMENTS]
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n")
    python = platform.python_version()
    (folder / "python_env.yaml").write_text(
        yaml.safe_dump(
            {"python": python, "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]}
        )
    )
    (folder / "conda.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "mlflow-env",
                "channels": ["conda-forge"],
                "dependencies": [f"python={python}", "pip", {"pip": requirements}],
            }
        )
    )

    model = Model(run_id=run_id, model_id=model_id)
    model.signature = ModelSignature(
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, len(dataset.classes)))])
    )
    model.metadata = {
        "classes": list(dataset.classes),
        "input": "raw pixels, 0 to 255, of any number type",
        "input_shape": [-1, *dataset.example_shape],
        "output": "probabilities in the order of classes",
        "sha256": event.sha256,
    }
    model.add_flavor(
        "keras",
        data="data",
        keras_version=metadata.version("keras"),
        keras_backend="tensorflow",
        save_exported_model=False,
    )
    pyfunc.add_to_model(
        model, loader_module=LOADER, code=CODE, conda_env="conda.yaml", python_env="python_env.yaml"
    )
    model.model_size_bytes = event.size
    model.save(str(folder / "MLmodel"))
