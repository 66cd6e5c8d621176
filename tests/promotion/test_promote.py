"""Models are registered as challengers, become champion if they are better, and go back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from harness.data.arrays import load
from harness.data.prepare import prepare
from harness.deploy.loading import load_safely
from harness.experiment.dataset_config import DatasetConfig
from harness.paths import cache, tracking_uri
from harness.serving.named_trial import named_trial
from harness.serving.opening import model_at
from harness.serving.predictor import predictor_of
from harness.tracking.origin import trial_of_run
from tests.old_studies.test_old_studies import NEWEST, unpack
from tests.promotion.conftest import Command, answer, edited

pytestmark = pytest.mark.slow


def champion() -> int:
    return int(MlflowClient(tracking_uri()).get_registered_model("digits").aliases["champion"])


def test_a_bundle_becomes_challenger_with_all_that_is_known_of_it(bundles: Path, command: Command) -> None:
    said = command("promote", str(bundles / "strong"))
    assert said == (0, "models:/digits/1\n", "strong is models:/digits/1, the challenger of digits.\n")
    again = command("promote", str(bundles / "strong"))
    assert (again.code, again.out) == (0, "models:/digits/1\n")
    assert "the challenger already" in again.err
    client = MlflowClient(tracking_uri())
    (version,) = client.search_model_versions("name = 'digits'")
    source = model_at(str(bundles / "strong"))
    assert version.tags["harness.sha256"] == source.sha256
    assert version.tags["harness.study"] == "digits"
    assert version.tags["harness.trial"] == "0"
    assert version.tags["harness.dataset_digest"].startswith("95bf837740c11821")
    assert set(version.tags) > {f"harness.split_digest.{part}" for part in ("train", "validation", "test")}
    assert float(version.tags["harness.validation.accuracy"]) > 0.9
    assert version.tags["harness.validation.images"] == "306"
    # The registered copy is the model, whatever becomes of the bundle, and it is read safely.
    model = model_at("models:/digits@challenger")
    assert model.file.is_relative_to(cache())
    assert (model.sha256, model.classes, model.image_shape, model.max_pixels) == (
        source.sha256, source.classes, source.image_shape, source.max_pixels,
    )  # fmt: skip
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1)).astype(np.uint8)
    expected = load_safely(source.file)(images.astype(np.float32)).numpy()
    np.testing.assert_allclose(predictor_of(model).predict(images), expected, atol=1e-5)


def test_the_champion_is_whoever_is_shown_to_be_better(bundles: Path, command: Command) -> None:
    weak, strong = (str(bundles / name) for name in ("weak", "strong"))
    first = command("promote", weak, "--alias", "champion")
    assert first.out == "models:/digits/1\n"
    assert "There was no champion yet" in first.err
    assert "is the champion already" in command("promote", weak, "--alias", "champion").err
    assert command("promote", strong).out == "models:/digits/2\n"
    assert champion() == 1

    better = answer(command("promote", "models:/digits@challenger", "--alias", "champion", "--json"))
    assert (better["version"], better["before"], champion()) == (2, 1, 2)
    found = better["comparison"]
    arrays = load(prepare(DatasetConfig(), seed=0, progress=lambda *_: None, cache=cache()))
    images, labels = arrays.validation()
    _, rows = np.unique(images.reshape(len(images), -1), axis=0, return_index=True)
    rights = [
        predictor_of(model_at(name)).predict(images[rows]).argmax(axis=1) == labels[rows]
        for name in (strong, weak)
    ]
    assert found["images"] == len(rows)
    assert (found["challenger"], found["champion"]) == (rights[0].mean(), rights[1].mean())
    assert found["test"]["only_first"] == (rights[0] & ~rights[1]).sum()
    assert found["test"]["only_second"] == (~rights[0] & rights[1]).sum()
    assert found["interval"]["low"] > 0
    assert found["test"]["p"] < 0.05

    worse = command("promote", weak, "--alias", "champion")
    assert worse.code == 1
    assert worse.out == ""
    assert f"On {len(rows)} images that neither was trained on" in worse.err
    assert "not shown to be better than version 2" in worse.err
    assert champion() == 2
    forced = command("promote", weak, "--alias", "champion", "--force")
    assert forced.out == "models:/digits/1\n"
    assert champion() == 1
    tags = MlflowClient(tracking_uri()).get_model_version("digits", "1").tags
    assert tags["harness.champion_why"].startswith("Forced, not shown to be better than version 2. On ")


def test_champions_go_back_one_by_one(bundles: Path, command: Command) -> None:
    client = MlflowClient(tracking_uri())
    for name in ("weak", "strong"):
        command("promote", str(bundles / name))
    for version in ("weak", "strong"):
        assert command("promote", str(bundles / version), "--alias", "champion").code == 0
    assert json.loads(client.get_registered_model("digits").tags["harness.champions"]) == [1, 2]
    back = command("promote", "--rollback", "--name", "digits")
    assert back.out == "models:/digits/1\n"
    assert back.err == "models:/digits/1 is the champion of digits again, in the place of version 2.\n"
    none = command("promote", "--rollback", str(bundles / "strong"))
    assert (none.code, champion()) == (1, 1)
    assert "No version of digits was champion before version 1, which stays champion." in none.err

    # What was cut off between two steps is finished by the same command.
    client.set_registered_model_alias("digits", "champion", "2")
    assert command("promote", "--rollback", "--name", "digits").out == "models:/digits/1\n"
    # Who was named in MLflow itself is gone back to, too.
    client.set_registered_model_alias("digits", "champion", "2")
    command("promote", str(bundles / "weak"), "--alias", "champion", "--force")
    assert json.loads(client.get_registered_model("digits").tags["harness.champions"]) == [1, 2, 1]
    assert command("promote", "--rollback", "--name", "digits").out == "models:/digits/2\n"
    client.delete_model_version("digits", "1")
    gone = command("promote", "--rollback", "--name", "digits")
    assert (gone.code, champion()) == (1, 2)
    never = command("promote", "--rollback", "--name", "cats")
    assert never.code == 1
    assert "cats has no champion, and never had one" in never.err


def test_without_common_images_only_force_makes_champion(bundles: Path, command: Command) -> None:
    strong = bundles / "strong"
    assert command("promote", str(bundles / "weak"), "--alias", "champion").code == 0
    unknown = edited(strong, Path("unknown"), lambda told: told["dataset"].pop("split_digests"))
    other = edited(
        strong, Path("other"), lambda told: told["dataset"]["split_digests"].update(train="0" * 64)
    )
    renamed = edited(strong, Path("renamed"), lambda told: told["output"].update(classes=[*"abcdefghij"]))
    for bundle, why in (
        (unknown, "It is not known which images unknown was trained on"),
        (other, "The images that other was validated with are not among the prepared data"),
        (renamed, "renamed and digits version 1 do not answer the same question"),
    ):
        refused = command("promote", str(bundle), "--alias", "champion")
        assert refused.code == 1
        assert why in refused.err
        assert "add --force" in refused.err
    client = MlflowClient(tracking_uri())
    assert [int(one.version) for one in client.search_model_versions("name = 'digits'")] == [1]
    forced = command("promote", str(unknown), "--alias", "champion", "--force")
    assert forced.out == "models:/digits/2\n"
    assert "Not compared with the champion. It is not known which images" in forced.err
    why = client.get_model_version("digits", "2").tags["harness.champion_why"]
    assert why.startswith("Forced, without a comparison. It is not known")


def test_what_was_changed_is_not_used(bundles: Path, command: Command) -> None:
    strong = bundles / "strong"
    assert command("promote", str(strong)).code == 0
    (strong / "model.keras").write_bytes((strong / "model.keras").read_bytes() + b"x")
    changed = command("promote", str(strong))
    assert changed.code == 1
    assert "model.keras was changed" in changed.err
    # In the registry, too.
    client = MlflowClient(tracking_uri())
    stored = Path(client.get_model_version_download_uri("digits", "1").removeprefix("file://"))
    stored = stored / "data" / "model.keras"
    stored.write_bytes(stored.read_bytes() + b"x")
    for arguments in (["promote", "models:/digits/1"], ["predict", "models:/digits/1", "x.png"]):
        changed = command(*arguments)
        assert changed.code == 1
        assert "data/model.keras was changed" in changed.err
    assert list(cache().glob("registered/*/*")) == []
    described = stored.parent.parent / "MLmodel"
    described.write_text(described.read_text().replace("classes:", "classes_: []\n  classes:"))
    assert "MLmodel was changed" in command("promote", "models:/digits/1").err


def test_a_version_with_a_temperature_is_exported_with_it(bundles: Path, command: Command) -> None:
    scaled = edited(
        bundles / "strong",
        Path("scaled"),
        lambda told: told["provenance"].update(temperature_scaling={"temperature": 1.5}),
    )
    assert command("promote", str(scaled)).code == 0
    refused = command("export", "models:/digits@challenger")
    assert refused.code == 2
    assert "divided by a temperature (1.5); add --temperature-scaling" in refused.err


def test_a_study_or_a_run_is_promoted_and_needs_neither_afterwards(
    own_workplace: Path, command: Command
) -> None:
    unpack(NEWEST, own_workplace)
    paths, state, trial = named_trial("pictures")
    said = command("promote", "pictures", "--name", "pets")
    assert said.out == "models:/pets/1\n"
    version = MlflowClient(tracking_uri()).get_model_version("pets", "1")
    assert trial_of_run(str(version.run_id))[2].number == trial.number
    assert command("promote", str(version.run_id), "--name", "pets").out == "models:/pets/1\n"
    assert version.tags["harness.study_id"] == state.started.study_id
    assert version.tags["harness.test_openings"] == str(len(state.test_openings))
    assert version.tags["harness.validation.accuracy"] == str(trial.shown_evaluations[0].metrics["accuracy"])
    exported = command("export", "models:/pets@challenger", "--formats", "keras", "--out", "bundle")
    assert exported.code == 0, exported.err
    assert f"exporting trial {trial.number} of pictures" in exported.err
    assert model_at("bundle").sha256 == model_at("models:/pets/1").sha256 == version.tags["harness.sha256"]
    paths.folder.rename("gone")
    model = predictor_of(model_at("models:/pets/1"))
    assert model.classes == state.started.dataset.classes


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["promote", "nothing"], 1, "neither a bundle at nothing nor a study"),
        (["promote", "models:/nothing@champion"], 1, "no model models:/nothing@champion"),
        (["promote", "bundles/weak", "--name", "a/b"], 2, "cannot be called 'a/b'"),
        (["promote", "bundles/weak", "--force"], 2, "add --alias champion"),
        (["promote", "--rollback", "--force"], 2, "leave --alias and --force out"),
        (["promote", "bundles/weak", "--rollback", "--name", "digits"], 2, "leave the model out"),
        (["promote", "--rollback", "--name", "digits"], 1, "there is no store at sqlite:///"),
        (["promote"], 1, "There is no study"),
        (["export", "models:/nothing/1"], 1, "no model models:/nothing/1"),
        (["export", "models:/nothing/1", "--trial", "3"], 2, "leave --trial out"),
        (["export", "0" * 32], 1, f"no run '{'0' * 32}'"),
    ],
)
def test_mistakes_are_sentences(
    bundles: Path, command: Command, arguments: list[str], code: int, why: str
) -> None:
    found = command(*arguments)
    assert (found.code, found.out) == (code, "")
    assert why in found.err
