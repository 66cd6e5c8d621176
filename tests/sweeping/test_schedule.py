"""The schedule of a study whose file names none: where trials are compared at rungs, a cycle up to each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.experiment.drawing import defaults
from harness.experiment.experiment import Experiment
from harness.experiment.load import dump, load_text, restore, single
from harness.records import LogRecord
from harness.schedulers import SCHEDULERS
from harness.study.state import StudyState, fold
from harness.sweeping.schedule import with_schedule
from tests.schedulers.test_registry import GIVEN
from tests.studies import SPACE, experiment, study_started

AT_RUNGS = [kind for kind, one in SCHEDULERS.items() if one.compares_at_rungs]
OTHERS = [kind for kind in SCHEDULERS if kind not in AT_RUNGS]


def searching(kind: str = "asha", space: dict[str, Any] | None = None, **sections: Any) -> Experiment:
    scheduler = {"kind": kind, **GIVEN.get(kind, {})}
    return experiment(scheduler=scheduler, space=SPACE | (space or {}), **sections)


def begun(searched: Experiment) -> StudyState:
    return fold([LogRecord(seq=1, event=study_started(searched))])


def resolved(searched: Experiment, state: StudyState | None = None) -> tuple[Experiment, list[str]]:
    said: list[str] = []
    return with_schedule(searched, state or StudyState(), said.append), said


@pytest.mark.parametrize("kind", AT_RUNGS)
def test_trials_that_are_compared_at_rungs_come_to_rest_there(kind: str) -> None:
    found, said = resolved(searching(kind))
    assert found.config.space == SPACE | {"schedule": "cycle_per_rung"}
    assert defaults(found.space)["schedule"] == "cycle_per_rung"
    assert said == [
        f"schedule: cycle_per_rung ({kind} compares trials at rungs, and the space says nothing else; "
        "--set space.schedule=constant for a rate that stays)"
    ]


@pytest.mark.parametrize(
    "searched",
    [
        *(searching(kind) for kind in OTHERS),
        searching(dataset={"folds": 3}),
        searching(space={"schedule": "constant"}),
        searching(space={"schedule": ["cosine", "one_cycle"]}),
        searching(space={"schedule": {"type": "constant", "value": "step", "when": {"optimizer": "sgd"}}}),
    ],
)
def test_elsewhere_it_is_what_the_space_says_or_the_usual_default(searched: Experiment) -> None:
    assert resolved(searched) == (searched, [])


def test_what_is_given_beside_the_file_holds() -> None:
    text = "name: mine\nspace: {depth: 2}\n"
    usual, constant = (
        resolved(load_text(text, Path("e.yaml"), given)) for given in ([], ["space.schedule=constant"])
    )
    assert usual[0].config.space == {"depth": 2, "schedule": "cycle_per_rung"}
    assert constant[0].config.space == {"depth": 2, "schedule": "constant"}
    assert not constant[1]


def test_one_training_is_compared_with_nothing() -> None:
    alone = single(load_text("name: mine\nspace: {depth: 2}\n", Path("e.yaml")))
    assert resolved(alone) == (alone, [])


def test_a_network_of_ones_own_is_trained_with_it_too() -> None:
    own = restore({"name": "e", "model": "mine:build", "space": {"filters": [4, 8]}})
    assert resolved(own)[0].config.space == {"filters": [4, 8], "schedule": "cycle_per_rung"}


@pytest.mark.parametrize("patience", [3, [0, 5], {"type": "int", "low": 0, "high": 5}])
def test_a_patience_would_end_a_cycle_at_its_rise(patience: Any) -> None:
    searched = searching(space={"patience": patience})
    found, said = resolved(searched)
    assert found == searched
    (sentence,) = said
    assert sentence.startswith("schedule: constant (with a patience;")
    never = resolved(searching(space={"patience": 0}))[0]
    assert never.config.space["schedule"] == "cycle_per_rung"


def test_a_study_goes_on_as_it_began() -> None:
    """Whether it began before there was such a default, or with it, or with another schedule."""
    written = searching()
    assert resolved(written, begun(written)) == (written, [])

    new = resolved(written)[0]
    assert resolved(written, begun(new)) == (new, ["schedule: cycle_per_rung (as the study began)"])
    assert resolved(new, begun(new)) == (new, [])

    chosen = searching(space={"schedule": "constant"})
    assert resolved(written, begun(chosen)) == (chosen, ["schedule: constant (as the study began)"])

    assert resolved(written, begun(searching(space={"schedule": ["step", "cosine"]}))) == (written, [])


def test_a_recorded_experiment_means_what_it_meant() -> None:
    before = searching()
    recorded = begun(before).experiment
    assert recorded == before == restore(dump(before))
    assert "schedule" not in recorded.space.parameters
