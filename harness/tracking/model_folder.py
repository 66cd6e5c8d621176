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

from harness.tracking.registered import KerasModel

REQUIREMENTS = ("tensorflow", "keras", "mlflow", "numpy")
CODE = "code"
KERAS_FILE = "model.keras"
"""In the folder `data`."""
DESCRIPTION = "MLmodel"
LOADER = "harness_pixels_model"
"""The name under which MLflow imports the loader."""


def write_model_folder(folder: Path, model: KerasModel, run_id: str | None, model_id: str) -> None:
    """Fill `folder`: input (N, H, W, C) raw pixels 0…255 of any number type, output float32 (N, K).

    Args:
        folder: empty.
        model: whose file is copied.
        run_id: of the run that has made it; None: it is in no run of this store.
        model_id: by which MLflow knows it.
    """
    import numpy as np
    import yaml
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    data = folder / "data"
    data.mkdir(parents=True)
    shutil.copyfile(model.file, data / KERAS_FILE)
    (data / "keras_module.txt").write_text("keras")
    (folder / CODE).mkdir()
    shutil.copyfile(Path(__file__).with_name("pixels_model.py"), folder / CODE / f"{LOADER}.py")
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in model.classes), encoding="utf-8")

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

    described = Model(run_id=run_id, model_id=model_id)
    described.signature = ModelSignature(
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, len(model.classes)))])
    )
    described.metadata = {
        "classes": list(model.classes),
        "input": "raw pixels, 0 to 255, of any number type",
        "input_shape": [-1, *model.example_shape],
        "output": "probabilities in the order of classes",
        "sha256": model.sha256,
        **model.of_files,
    }
    described.add_flavor(
        "keras",
        data="data",
        keras_version=metadata.version("keras"),
        keras_backend="tensorflow",
        save_exported_model=False,
    )
    pyfunc.add_to_model(
        described, loader_module=LOADER, code=CODE, conda_env="conda.yaml", python_env="python_env.yaml"
    )
    described.model_size_bytes = model.file.stat().st_size
    described.save(str(folder / DESCRIPTION))
