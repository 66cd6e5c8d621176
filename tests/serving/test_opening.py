"""A model is named by its bundle, by its study, or by its address in MLflow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.deploy.loading import load_safely
from harness.errors import ServingError, StudyError
from harness.paths import StudyPaths, tracking_uri
from harness.serving.opening import model_at
from harness.serving.predictor import predictor_of
from harness.study.choosing import choose_trial
from harness.study.opening import open_study
from harness.tracking.mlflow_client import connect
from tests.old_studies.test_old_studies import NEWEST, unpack

pytestmark = pytest.mark.slow


@pytest.fixture
def studies(own_workplace: Path) -> Path:
    """Studies that an earlier version has made."""
    unpack(NEWEST, own_workplace)
    return own_workplace


def test_a_study_means_its_best_trial(studies: Path) -> None:
    Path("pictures").mkdir(exist_ok=True)  # a folder of the same name is no bundle
    paths, state = open_study("pictures")
    best = choose_trial(state)
    source = model_at("pictures")
    assert best.model is not None
    assert source.file == paths.folder / best.model.file
    assert source.name == f"trial {best.number} of pictures"
    assert source.classes == state.started.dataset.classes
    assert source.image_shape == state.started.dataset.image_shape
    model = predictor_of(source)
    images = np.random.default_rng(0).integers(0, 256, (3, *model.example_shape)).astype(np.uint8)
    expected = load_safely(source.file)(images.astype(np.float32)).numpy()
    np.testing.assert_allclose(model.predict(images), expected, atol=1e-5)
    source.file.write_bytes(source.file.read_bytes() + b"x")
    with pytest.raises(ServingError, match="was changed"):
        predictor_of(source)
    source.file.unlink()
    with pytest.raises(ServingError, match="cannot be read"):
        predictor_of(source)


def test_an_address_in_mlflow_means_the_trial_that_made_the_model(studies: Path) -> None:
    client = connect(tracking_uri())
    experiments = [one.experiment_id for one in client.search_experiments()]
    models = list(client.search_logged_models(experiments))
    assert models
    model = models[0]
    client.create_registered_model("pets")
    client.create_model_version("pets", f"models:/{model.model_id}", model_id=model.model_id)
    client.set_registered_model_alias("pets", "champion", "1")
    run = client.get_run(str(model.source_run_id))
    study = run.data.tags["harness.study"]
    trial = open_study(study)[1].trials[int(run.data.tags["harness.trial"])]
    assert trial.model is not None
    found = model_at("models:/pets@champion")
    assert found.file == StudyPaths.of(study).folder / trial.model.file
    assert found == model_at(f"models:/{model.model_id}")
    with pytest.raises(StudyError, match="MLflow has no model models:/pets@challenger"):
        model_at("models:/pets@challenger")


def test_what_is_neither_is_said(own_workplace: Path) -> None:
    with pytest.raises(ServingError, match="neither a bundle at nothing nor a study of this name"):
        model_at("nothing")
    (own_workplace / "folder").mkdir()
    with pytest.raises(ServingError, match="folder is not an exported bundle"):
        model_at("folder")
