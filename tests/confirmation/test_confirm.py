"""`harness confirm` from the command to the champion: real trainings, the test set, MLflow, export."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness import open_study
from harness.errors import HarnessError
from harness.paths import StudyPaths
from harness.study.event_log import read
from harness.study.state import fold
from tests.faults.support import harness, proven

pytestmark = pytest.mark.slow

FEW = ["--top", "2", "--seeds", "2", "--workers", "2"]


def test_confirmed_tested_once_tagged_and_exported(study: StudyPaths) -> None:
    done = harness("confirm", "s", *FEW)
    assert "forecast: 4 full trainings take about" in done.stderr
    assert "The test set was opened once." in done.stdout
    assert "of the sweep's best score was luck" in done.stdout
    state = proven("s.confirm", trials=4)
    assert len({trial.seed for trial in state.trials.values()}) == 2
    (champion,) = state.openings
    assert state.openings[champion].how == "confirmed"
    assert not fold(read(study.log)).openings
    again = harness("confirm")  # the confirmation was active last, and its study is meant
    assert again.stdout == done.stdout
    told = json.loads(harness("confirm", "s", "--json").stdout)
    assert (told["confirmation"], told["study"], told["complete"]) == ("s.confirm", "s", True)
    assert (told["champion"], told["test"]["trial"], told["test_openings"]) == (champion, champion, 1)
    right = state.trials[champion].evaluations[-1].metrics["accuracy"]
    assert told["test"]["accuracy"] == right
    assert told["test"]["interval"][0] < right < told["test"]["interval"][1]
    assert "--top 2, so it cannot go on with --top 3" in harness("confirm", "s", "--top", "3", code=2).stderr
    sentence = f"champion  trial {told['chosen']}"
    assert sentence in harness("leaderboard", "s").stderr
    assert sentence in harness("show", "0", "--study", "s").stderr
    client = MlflowClient("sqlite:///mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("quickstart").experiment_id])
    tagged = {run.info.run_name: run.data.tags.get("harness.champion") for run in runs}
    assert sorted(filter(None, tagged.values())) == sorted([str(champion), "true"])
    assert {run.data.tags.get("harness.confirms") for run in runs} == {None, "s"}
    exported = harness("export", "s", "--formats", "saved_model")
    assert exported.stdout.strip() == f"exports/s.confirm-trial-{champion:05d}"
    assert Path(exported.stdout.strip(), "model.keras").is_file()


@pytest.mark.skipif(os.environ.get("HARNESS_TESTS") != "full", reason="runs in make test-full")
def test_cut_off_by_a_time_limit_it_says_how_it_goes_on(study: StudyPaths) -> None:
    done = harness(
        "confirm", "s", *FEW, "--timeout", "1", code=None
    )  # 4 where a store has had no time either
    assert "Go on with: harness confirm s --timeout 2" in done.stderr
    assert not fold(read(StudyPaths.of("s.confirm").log)).openings
    assert "harness confirm s" in harness("status", "s.confirm").stdout
    assert "The test set was opened once." in harness("confirm", "s", "--timeout", "none").stdout
    proven("s.confirm", trials=4)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["s", "--as-is", "--seeds", "3"], 2, "--as-is trains nothing, so that --seeds has no meaning"),
        (["s", "1"], 2, "Without --as-is no trial is named"),
        (["nothing"], 1, "There is no study called 'nothing'"),
        (["s", "--seeds", "1"], 2, "Input should be greater than or equal to 2"),
    ],
)
def test_mistakes(study: StudyPaths, arguments: list[str], code: int, said: str) -> None:
    assert said in harness("confirm", *arguments, code=code).stderr


def test_another_study_of_that_name_is_not_touched(study: StudyPaths) -> None:
    study.folder.rename(StudyPaths.of("s.confirm").folder)
    quick = ["--trials", "1", "--epochs", "1", "--set", "training.precision=float32"]
    harness("sweep", "quickstart", "--study", "s", "--set", "dataset.limit_train=200", *quick)
    done = harness("confirm", "s", code=1)
    assert "There is a study called s.confirm that confirms another one" in done.stderr


def test_in_python_it_is_the_same_and_the_champion_is_exported_with_a_temperature(study: StudyPaths) -> None:
    opened = open_study("s")
    found = opened.confirm(top=2, seeds=2, workers=2)
    state = proven("s.confirm", trials=4)
    assert found.study.name == "s.confirm"
    assert found.findings.complete
    assert found.champion is not None
    assert found.test is not None
    assert list(state.openings) == [found.champion.number] == [found.findings.champion]
    assert found.test.accuracy == state.trials[found.champion.number].evaluations[-1].metrics["accuracy"]
    again = opened.confirm(top=2)
    assert (again.findings, again.test) == (found.findings, found.test)
    assert again.study.test_openings == 1
    with pytest.raises(HarnessError, match="cannot go on with --seeds 3"):
        opened.confirm(seeds=3)
    assert f"trial {found.findings.chosen} is " in repr(found)
    told = json.loads(harness("confirm", "s", "--json").stdout)
    assert told["champion"] == found.champion.number
    assert told["test"]["accuracy"] == found.test.accuracy
    done = harness("export", "s", "--temperature-scaling", "--out", "cooled", "--formats", "onnx")
    assert "calibration error" in done.stderr
    assert "Temperature scaling: logits are divided by" in Path("cooled", "README.md").read_text("utf-8")
