"""What a study learns from earlier ones: from which, what, and that it goes on without them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StudyError
from harness.experiment.experiment import Experiment
from harness.paths import StudyPaths, make_folder
from harness.records import Dataset, EpochEnded, SegmentEnded, StudyEnded, TrialEnded, TrialStarted, WarmStart
from harness.study.event_log import EventLog, read
from harness.study.state import StudyState, fold
from harness.sweeping.parts import make_sampler
from harness.sweeping.warm_start import LEAST_TRIALS, warm_start, with_priors
from tests.studies import DATASET, experiment, objective, study_started

SPACE: dict[str, Any] = {
    "dropout": {"type": "float", "low": 0.0, "high": 0.5},
    "optimizer": ["sgd", "adam"],
    "learning_rate": "auto",
    "batch_size": 32,
}
AUTO = {"search": {"warm_start": "auto"}, "space": SPACE}


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))


def keep(
    name: str,
    trials: int = 20,
    searched: Experiment | None = None,
    dataset: Dataset = DATASET,
    best: float = 0.2,
    ended: bool = True,
) -> StudyPaths:
    """A study in the workspace: the nearer its dropout to `best`, and with Adam, the better a trial."""
    paths = StudyPaths.of(name)
    make_folder(paths.folder.parent)
    make_folder(paths.folder)
    log = EventLog(paths.log)
    log.append(study_started(searched or experiment(space=SPACE), study=name, dataset=dataset))
    for number in range(trials):
        dropout, adam = 0.5 * number / trials, number % 2 == 0
        rate = {"learning_rate[adam]": 0.002} if adam else {"learning_rate[sgd]": 0.1}
        sampled = {"dropout": dropout, "optimizer": "adam" if adam else "sgd", **rate}
        params = {"dropout": dropout, "optimizer": sampled["optimizer"], "batch_size": 32}
        params["learning_rate"] = 0.002 if adam else 0.1
        score = 0.9 - abs(dropout - best) - 0.1 * (not adam)
        log.append(TrialStarted(trial=number, params=params, sampled=sampled, seed=0, time=0))
        log.append(EpochEnded(trial=number, attempt=1, epoch=1, metrics={"val_accuracy": score}, time=0))
        log.append(
            SegmentEnded(trial=number, attempt=1, epoch=1, over=True, seconds=1, evaluations=[], time=0)
        )
        log.append(
            TrialEnded(
                trial=number, state="complete", score=score, values=[score], epoch=1, reason="finished",
                failure=None, traceback="", time=0,
            )
        )  # fmt: skip
    if ended:
        log.append(StudyEnded(reason="all trials have ended", complete=True, time=0))
    log.close()
    return paths


STRANGERS = ("damaged", "strange", "underway", "small", "losses", "others", "photographs")


def learn(
    wanted: Experiment, state: StudyState | None = None, dataset: Dataset = DATASET
) -> tuple[WarmStart | None, list[str]]:
    notes: list[str] = []
    found = warm_start(wanted, "own", state or StudyState(), lambda: dataset, notes.append)
    return found, notes


def test_the_best_trials_of_earlier_studies_become_priors_and_starts() -> None:
    keep("earlier")
    learned, notes = learn(experiment(**AUTO))
    assert learned is not None
    assert learned.studies == ["earlier"]
    assert learned.priors["dropout"]["center"] == pytest.approx(0.2, abs=0.05)
    assert learned.priors["optimizer"]["adam"] > learned.priors["optimizer"]["sgd"]
    assert learned.starts == [{"dropout": 0.2, "optimizer": "adam", "learning_rate": 0.002, "batch_size": 32}]
    assert notes == [
        "warm start: learned from the best 4 of 20 trials of earlier (the same data): what is probably good "
        "of dropout, optimizer, learning_rate, and the best configuration of 1 to begin with"
    ]
    sampler = make_sampler(experiment(**AUTO), learned)
    first = [sampler.ask(number) for number in range(3)]
    assert [one.known_as if one else None for one in first] == [
        "the default configuration",
        "the configuration that is probably good",
        "the best configuration of an earlier study",
    ]


def test_it_is_recorded_and_holds_when_the_other_study_is_gone() -> None:
    earlier = keep("earlier")
    wanted = experiment(**AUTO)
    learned, _ = learn(wanted)
    paths = keep("own", trials=3, searched=wanted)
    paths.log.unlink()
    log = EventLog(paths.log)
    log.append(study_started(wanted, study="own", warm_start=learned))
    log.append(study_started(wanted, study="own", session=2))
    log.close()
    shutil.rmtree(earlier.folder)
    again, notes = learn(wanted, fold(read(paths.log)))
    assert again == learned
    assert notes == []
    one, other = make_sampler(wanted, learned), make_sampler(wanted, again)
    for number in range(14):
        suggestion = one.ask(number)
        assert suggestion == other.ask(number)
        for sampler in (one, other):
            sampler.finish(number, "complete", [number % 5 / 5], {1: number % 5 / 5})


def test_a_study_that_began_without_learning_goes_on_without() -> None:
    keep("earlier")
    own = fold(read(keep("own").log))
    assert learn(experiment(**AUTO), own) == (None, [])
    assert learn(experiment(space=SPACE)) == (None, [])
    assert learn(experiment(space=SPACE, search={"warm_start": "none"})) == (None, [])


def test_studies_that_are_named_are_recorded_with_their_trials() -> None:
    earlier = keep("earlier")
    wanted = experiment(space=SPACE, search={"warm_start": ["earlier"]})
    learned, notes = learn(wanted)
    assert learned is not None
    assert len(learned.trials) == 20
    assert notes == ["warm start: 20 of the 20 trials of earlier fit the space"]
    shutil.rmtree(earlier.folder)
    state = fold(read(keep("own", searched=wanted).log))
    with pytest.raises(StudyError, match="There is no study called 'earlier'"):
        learn(wanted, state)  # as an earlier version has recorded it
    state.warm_start = learned
    assert learn(wanted, state) == (learned, [])


def test_what_is_damaged_or_about_something_else_is_passed_over_with_its_reason() -> None:
    keep("usable")
    damaged = keep("damaged").log
    damaged.write_bytes(damaged.read_bytes().replace(b"dropout", b"drapout", 3))
    make_folder(StudyPaths.of("strange").folder)
    StudyPaths.of("strange").log.write_bytes(b"\x80\x04garbage\nmore\nlines\n")
    keep("underway", ended=False)
    keep("small", trials=LEAST_TRIALS - 1)
    keep("losses", searched=experiment(space=SPACE, objectives=objective("val_loss", "minimize")))
    keep("others", searched=experiment(space={"width": [8, 16], "depth": [1, 2]}))
    keep("photographs", dataset=replace(DATASET, digest="1" * 64, image_shape=(96, 96, 3)))
    learned, notes = learn(experiment(**AUTO))
    assert learned is not None
    assert learned.studies == ["usable"]
    told = notes[0].removeprefix("warm start: passed over ")
    reasons = {one: told.split(f"{one} (", 1)[1] for one in STRANGERS}
    assert "is damaged at line" in reasons.pop("damaged")
    assert reasons.pop("strange").startswith("it cannot be read: The event log")
    reasons = {one: reason.split(")", 1)[0] for one, reason in reasons.items()}
    assert reasons == {
        "underway": "it has not ended",
        "small": "only 4 of its trials have a score",
        "losses": "another objective",
        "others": "another space",
        "photographs": "another kind of data",
    }


def test_similar_data_teach_after_the_same_data() -> None:
    keep("similar", best=0.4, dataset=replace(DATASET, digest="1" * 64, counts={"train": 25}))
    keep("same")
    learned, notes = learn(experiment(**AUTO))
    assert learned is not None
    assert learned.studies == ["same", "similar"]
    assert "of similar (data of the same kind)" in notes[0]
    assert [start["dropout"] for start in learned.starts] == [0.2, 0.4]


def test_nothing_to_learn_from_is_told() -> None:
    assert learn(experiment(**AUTO)) == (
        None,
        ["warm start: there is no earlier study of the same kind of space and data here to learn from"],
    )
    keep("earlier")
    wanted = experiment(space=SPACE, search={"warm_start": "auto", "sampler": "qmc"})
    found, notes = learn(wanted)
    assert found is None
    assert notes == ["warm start: nothing is learned, because the sampler qmc goes by no priors"]


def test_what_a_space_says_itself_holds_and_what_does_not_fit_is_left_out() -> None:
    space = {**SPACE, "dropout": {**SPACE["dropout"], "prior": 0.3}, "optimizer": ["sgd", "lion"]}
    learned = WarmStart(
        studies=["earlier"],
        priors={
            "dropout": {"center": 0.1, "spread": 0.1},
            "optimizer": {"adam": 3.0, "sgd": 1.0},
            "learning_rate[sgd]": {"center": 0.05, "spread": 2.0},
            "learning_rate[adam]": {"center": 0.002, "spread": 2.0},
        },
    )
    found = with_priors(experiment(space=space).space, learned).priors
    assert found.keys() == {"dropout", "learning_rate[sgd]"}
    assert getattr(found["dropout"][1], "center", None) == 0.3


def test_another_prior_is_no_other_space() -> None:
    def of(entry: Any) -> dict[str, Any]:
        return {**SPACE, "optimizer": entry}

    written = {"type": "categorical", "choices": ["sgd", "adam"]}
    spaces = [
        ["sgd", "adam"],
        written,
        {**written, "prior": "adam"},
        {**written, "prior": {"sgd": 2}},
        ["sgd"],
    ]
    log = EventLog(keep("edited", trials=0, searched=experiment(space=of(spaces[0])), ended=False).log)
    for session, entry in enumerate(spaces, 2):
        log.append(study_started(experiment(space=of(entry)), session=session))
    log.close()
    records = read(StudyPaths.of("edited").log)
    assert [fold(records[:until]).space_version for until in range(2, 7)] == [1, 1, 1, 1, 2]
