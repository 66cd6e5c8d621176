"""Where studies, prepared data and stores are, as the environment says."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from harness.paths.sqlite import SQLITE, sqlite_uri

STUDIES = "studies"
"""The folder of all studies."""
EVENT_LOG = "events.jsonl"


def home() -> Path:
    """Where studies live: `HARNESS_HOME`, else `.harness` in the working directory."""
    return Path(os.environ.get("HARNESS_HOME") or ".harness").absolute()


def cache() -> Path:
    """Where prepared data lives: `HARNESS_CACHE`, else the user's cache folder."""
    named = os.environ.get("HARNESS_CACHE")
    return Path(named).absolute() if named else platformdirs.user_cache_path("harness")


def calibration_file() -> Path:
    """How fast this machine trains with different numbers of workers, as measured before."""
    return cache() / "calibration.json"


def embeddings_file(digest: str) -> Path:
    """Embeddings of images by a network, kept by a digest of both."""
    return cache() / "embeddings" / f"{digest}.npz"


def graph_beside(embeddings: Path) -> Path:
    """The graph of embeddings that is kept beside their file."""
    return embeddings.with_suffix(".faiss")


def unpacked_bundle(sha256: str) -> Path:
    """What the archive of a bundle with this SHA-256 was unpacked to."""
    return cache() / "bundles" / sha256


def downloaded_model(sha256: str) -> Path:
    """The `.keras` file with this SHA-256, as it was fetched from a registry."""
    return cache() / "registered" / sha256 / "model.keras"


def study_names() -> list[str]:
    """The studies under `home()`, newest activity last."""
    logs = (home() / STUDIES).glob(f"*/{EVENT_LOG}")
    return [log.parent.name for log in sorted(logs, key=lambda log: log.stat().st_mtime)]


def holds_studies(folder: Path) -> bool:
    """Whether a folder is the one of all studies, or has that one directly inside."""
    itself = folder.name == STUDIES and any(folder.glob(f"*/{EVENT_LOG}"))
    return itself or any(folder.glob(f"{STUDIES}/*/{EVENT_LOG}"))


def optuna_storage() -> str:
    """The Optuna storage URL: `HARNESS_STORAGE`, else SQLite under `home()`."""
    return os.environ.get("HARNESS_STORAGE") or sqlite_uri(home() / "optuna.db")


def tracking_uri() -> str:
    """The MLflow store: `MLFLOW_TRACKING_URI`, else `mlflow.db` in the working directory."""
    file = Path("mlflow.db").absolute()
    # MLflow creates the parent folder of the path as it stands in the URI, quoted characters and all.
    plain = sqlite_uri(file) == f"{SQLITE}{file}"
    return os.environ.get("MLFLOW_TRACKING_URI") or (sqlite_uri(file) if plain else f"{SQLITE}{file.name}")
