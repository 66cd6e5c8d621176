"""Registered models in MLflow: versions of them, who they are, and which of them has an alias."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from harness.errors import StoreError, StudyError
from harness.paths import downloaded_model, make_folder, sha256_of, write_file
from harness.tracking.address import check_mlflow_address
from harness.tracking.mlflow_client import connect, every_experiment, known, search_runs
from harness.tracking.mlflow_content import origin_tags
from harness.tracking.mlflow_runs import ENSEMBLE, STUDY_ID, TRIAL
from harness.tracking.model_folder import DESCRIPTION, KERAS_FILE, write_model_folder
from harness.tracking.registered import DESCRIPTION_SHA256, SHA256, KerasModel, Version
from harness.tracking.store_errors import explain
from harness.tracking.stores import MLFLOW

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

HISTORY = "harness.champions"
"""The tag of a registered model with the numbers of its champions in their order, the present one last."""
TRACKING_URI = "MLFLOW_TRACKING_URI"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[\w-]+")


class Registry:
    """The registered models of one MLflow store.

    Every method raises StoreError if the store cannot work as it is set up, UnreachableError if it is away.
    """

    def __init__(self, uri: str) -> None:
        """Connect to the store at `uri`."""
        self._uri = uri
        with _explained():
            check_mlflow_address(uri)
            self._client = connect(uri)

    def version(self, name: str, number: int) -> Version | None:
        """A version by its number; None if there is none."""
        with _explained():
            found = known(lambda one: self._client.get_model_version(name, one), str(number))
            return _version(found) if found is not None else None

    def with_alias(self, name: str, alias: str) -> Version | None:
        """The version that has an alias; None if none has it."""
        with _explained():
            found = known(lambda one: self._client.get_model_version_by_alias(name, one), alias)
            return _version(found) if found is not None else None

    def with_model(self, name: str, sha256: str) -> Version | None:
        """The latest version that has this model by the SHA-256 of its `.keras` file; None if none has it."""
        found: list[Version] = []
        token: str | None = None
        with _explained():
            while True:
                page = self._client.search_model_versions(f"name = '{name}'", page_token=token)
                found += [_version(one) for one in page]
                token = page.token
                if not token:
                    break
        same = [one for one in found if one.tags.get(SHA256) == sha256]
        return max(same, key=lambda one: one.number, default=None)

    def register(self, name: str, model: KerasModel, tags: Mapping[str, str]) -> Version:
        """Add a version with a copy of the model, and make the registered model if it is not there.

        Args:
            name: of the registered model.
            model: as it is to be loaded from now on; the study's own model in MLflow stays as it is.
            tags: of the version, by which also the run is looked for that has made the model.
        """
        with _explained():
            client = self._client
            if known(client.get_registered_model, name) is None:
                client.create_registered_model(name)
            run = self._run_of(tags)
            logged = client.create_logged_model(
                run.info.experiment_id if run else "0",
                name=f"{name}-{model.sha256[:12]}".replace(".", "-"),
                tags={**origin_tags(), SHA256: model.sha256},
                model_type="keras",
            ).model_id
            with tempfile.TemporaryDirectory() as folder:
                target = Path(folder) / "model"
                target.mkdir()
                write_model_folder(target, model, run.info.run_id if run else None, logged)
                digests = {SHA256: model.sha256, DESCRIPTION_SHA256: sha256_of(target / DESCRIPTION)}
                client.log_model_artifacts(logged, str(target))
            client.finalize_logged_model(logged, "READY")
            with _default_store(self._uri):
                made = client.create_model_version(
                    name,
                    f"models:/{logged}",
                    run_id=run.info.run_id if run else None,
                    tags={**tags, **digests},
                    model_id=logged,
                )
            return _version(made)

    def fetch(self, version: Version) -> KerasModel:
        """The model of a version that harness has registered, in the cache.

        Raises:
            StudyError: harness has not registered it, or it is not what was registered.
        """
        from mlflow.artifacts import download_artifacts

        sha256 = version.tags.get(SHA256, "")
        if not _DIGEST.fullmatch(sha256):
            raise StudyError(f"{version.address} was not registered by harness: it has no tag {SHA256}.")
        target = downloaded_model(sha256)
        there = target.is_file() and sha256_of(target) == sha256
        with _explained(), tempfile.TemporaryDirectory() as folder:
            place = self._client.get_model_version_download_uri(version.name, str(version.number))

            def download(name: str) -> Path:
                return Path(
                    download_artifacts(
                        artifact_uri=f"{place.rstrip('/')}/{name}", dst_path=folder, tracking_uri=self._uri
                    )
                )

            told = download(DESCRIPTION).read_bytes()
            content = b"" if there else download(f"data/{KERAS_FILE}").read_bytes()
        _check(told, version, DESCRIPTION_SHA256, DESCRIPTION)
        if not there:
            _check(content, version, SHA256, f"data/{KERAS_FILE}")
            make_folder(target.parent)
            write_file(target, lambda fresh: fresh.write_bytes(content))
        described = _described(told, version)
        return KerasModel(
            target,
            sha256,
            tuple(str(one) for one in described["classes"]),
            tuple(int(one) for one in described["input_shape"][1:]),
            {key: described[key] for key in ("pixel_range", "max_pixels") if key in described},
        )

    def give_alias(self, version: Version, alias: str) -> None:
        """Have an alias name this version, and no other one from now on."""
        with _explained():
            self._client.set_registered_model_alias(version.name, alias, str(version.number))

    def tag_version(self, version: Version, key: str, value: str) -> None:
        """Set a tag of a version."""
        with _explained():
            self._client.set_model_version_tag(version.name, str(version.number), key, value)

    def champions(self, name: str) -> list[int]:
        """The numbers of the versions that have been champions, in their order; none where none is noted."""
        with _explained():
            model = known(self._client.get_registered_model, name)
        try:
            noted = json.loads(model.tags.get(HISTORY, "[]")) if model is not None else []
        except ValueError:
            noted = None
        if not isinstance(noted, list) or not all(type(one) is int for one in noted):
            raise StoreError(
                f"The tag {HISTORY} of the registered model {name} is not a list of versions. Correct it in "
                "MLflow, for example to [], or delete it."
            )
        return noted

    def note_champions(self, name: str, numbers: list[int]) -> None:
        """Keep what `champions` tells."""
        with _explained():
            self._client.set_registered_model_tag(name, HISTORY, json.dumps(numbers))

    def _run_of(self, tags: Mapping[str, str]) -> Run | None:
        """The run in this store that has made the model; None if it is in another one."""
        study = tags.get(STUDY_ID, "")
        wanted = {key: tags[key] for key in (TRIAL, ENSEMBLE) if key in tags}
        if not _ID.fullmatch(study) or len(wanted) != 1:
            return None
        ((key, number),) = wanted.items()
        if not number.isdecimal():
            return None
        whose = f"tags.`{STUDY_ID}` = '{study}' AND tags.`{key}` = '{number}'"
        found = search_runs(self._client, every_experiment(self._client), whose)
        return found[0] if found else None


def _version(found: ModelVersion) -> Version:
    return Version(found.name, int(found.version), dict(found.tags), found.run_id or "")


def _check(content: bytes, version: Version, tag: str, name: str) -> None:
    """Raise StudyError if a version's file is not the one whose SHA-256 a tag of it has."""
    if hashlib.sha256(content).hexdigest() != version.tags.get(tag):
        raise StudyError(
            f"The model of {version.address} is not the one that was registered: {name} was changed "
            "(SHA-256). It is not used."
        )


def _described(content: bytes, version: Version) -> dict[str, Any]:
    """What a version's folder says of its model; raises StudyError if it says nothing usable."""
    try:
        described = yaml.safe_load(content)["metadata"]
        if isinstance(described["classes"], list) and isinstance(described["input_shape"], list):
            found: dict[str, Any] = described
            return found
    except (ValueError, TypeError, KeyError, yaml.YAMLError):
        pass
    raise StudyError(f"What {version.address} says of itself in {DESCRIPTION} cannot be read.")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise explain(error, MLFLOW) from error


@contextmanager
def _default_store(uri: str) -> Iterator[None]:
    """Have MLflow look for a version's model in this store, where it goes by its own default."""
    before = os.environ.get(TRACKING_URI)
    os.environ[TRACKING_URI] = uri
    try:
        yield
    finally:
        if before is None:
            del os.environ[TRACKING_URI]
        else:
            os.environ[TRACKING_URI] = before
