"""Which configurations are confirmed, and the experiment that does it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.findings import Noise
from harness.confirmation.candidates import candidates
from harness.confirmation.experiment import as_text, check_options, fresh_seeds
from harness.confirmation.forecast import forecast
from harness.confirmation.planning import plan_confirmation
from harness.errors import ExperimentError, StudyError, UsageError
from harness.experiment.load import dump, load_text, restore, with_search
from harness.paths import StudyPaths
from harness.records import Annealing
from harness.study.event_log import EventLog
from harness.study.state import StudyState
from harness.sweeping.checks import check_data
from harness.sweeping.parts import make_scheduler
from tests.confirmation.drawn import EPOCHS, confirmation, confirmed, searched
from tests.studies import DATASET, study_started


def on_images(state: StudyState, validation: int) -> StudyState:
    """The study with so many validation images."""
    dataset = replace(DATASET, counts=DATASET.counts | {"validation": validation})
    state._started = replace(state.started, dataset=dataset)
    return state


def test_those_are_confirmed_that_the_validation_images_cannot_tell_from_the_best() -> None:
    """Wilson's interval of 90 of 100 reaches down to 0.8256."""
    state = on_images(searched([0.7, 0.9, 0.83, 0.82, 0.88]), 100)
    found = candidates(state)
    assert [trial.number for trial in found.trials] == [1, 4, 2]
    assert "100 validation images cannot tell apart" in found.why
    few = candidates(on_images(searched([0.7, 0.9, 0.83, 0.82, 0.88, 0.89, 0.9]), 20))
    assert [trial.number for trial in few.trials] == [1, 6, 5, 4, 2], "at most five"
    many = candidates(on_images(searched([0.7, 0.9, 0.83, 0.82, 0.88]), 100_000))
    assert [trial.number for trial in many.trials] == [1]


def test_where_predictions_are_stored_they_decide_who_is_as_good_as_the_best() -> None:
    state = on_images(searched([0.7, 0.9, 0.83, 0.82, 0.88]), 100)
    noise = Noise(
        best=1, trials=(0, 1, 2, 3, 4), complete=5, pruned=0, images=100, folds=False, resamples=1000,
        luck=0.01, in_points=True, tied=frozenset({4}), needed={},
    )  # fmt: skip
    found = candidates(state, noise=noise)
    assert [trial.number for trial in found.trials] == [1, 4]
    assert "100 validation images cannot tell apart: image by image" in found.why
    assert [trial.number for trial in candidates(state, 3, noise).trials] == [1, 4, 2], "as many as asked for"


def test_top_says_how_many_whatever_the_interval() -> None:
    state = on_images(searched([0.7, 0.9, 0.83]), 100_000)
    assert [trial.number for trial in candidates(state, 2).trials] == [1, 2]
    found = candidates(state, 9)
    assert len(found.trials) == 3
    assert "no more than 3 are complete" in found.why


def test_small_is_good_where_it_is() -> None:
    state = searched([0.3, 0.1, 0.2], minimize=True)
    assert [trial.number for trial in candidates(state, 2).trials] == [1, 2]


def test_a_configuration_is_confirmed_once_and_only_whole_trainings_count() -> None:
    state = searched([0.7, 0.9, 0.8])
    state.trials[2].params = dict(state.trials[1].params)
    assert [trial.number for trial in candidates(state, 5).trials] == [1, 0]
    state.trials[1].state = "pruned"
    assert [trial.number for trial in candidates(state, 5).trials] == [2, 0]
    for trial in state.trials.values():
        trial.state = "failed"
    with pytest.raises(StudyError, match="nothing to confirm"):
        candidates(state)


def test_the_experiment_is_a_whole_file_and_reads_back_the_same() -> None:
    study = searched([0.9, 0.8], scheduler={"kind": "asha", "reduction": 3}, search={"timeout": 5.0})
    wanted = confirmation(study, 2, 4)
    assert wanted.search.trials == 8
    assert wanted.budget.timeout is None
    assert wanted.scheduler.kind == "none"
    assert (wanted.seed, wanted.dataset, wanted.training) == (
        study.experiment.seed, study.experiment.dataset, study.experiment.training,
    )  # fmt: skip
    assert restore(dump(wanted)) == wanted
    assert load_text(as_text(wanted), Path("experiment.yaml")).config == wanted.config


def test_learning_rates_come_down_where_they_did_in_the_sweep() -> None:
    study = searched([0.9], scheduler={"kind": "asha", "min_epochs": 1, "reduction": 3})
    section = confirmation(study, 1, 2).confirmation
    assert section is not None
    assert section.configurations[0].cycles == list(make_scheduler(study.experiment).cycles(0))
    assert section.configurations[0].cycles[-1] == EPOCHS
    assert len(section.configurations[0].cycles) > 1


def test_a_trial_that_was_trained_to_its_end_early_is_trained_so_again(tmp_path: Path) -> None:
    study, annealing = searched([0.9, 0.8]), Annealing(start=1, stop=2)
    study.trials[1].annealing = annealing
    wanted = confirmation(study, 2, 2)
    assert restore(dump(wanted)) == wanted
    state = confirmed(tmp_path / "c", wanted, lambda index, _: (0.9, 0.8)[index])
    found = [(trial.last_epoch, trial.annealing) for trial in state.trials.values()]
    assert found == [(EPOCHS, None), (2, annealing)] * 2
    assert {trial.state for trial in state.trials.values()} == {"complete"}


def test_seeds_follow_from_the_studys_and_none_is_there_twice() -> None:
    assert fresh_seeds(7, 5) == fresh_seeds(7, 9)[:5]
    assert len(set(fresh_seeds(7, 100))) == 100
    assert not set(fresh_seeds(7, 100)) & set(fresh_seeds(8, 100))


def test_a_confirmation_goes_on_as_it_began() -> None:
    wanted = confirmation(searched([0.9, 0.8]), 2, 4)
    check_options(wanted, None, None)
    check_options(wanted, 2, 4)
    with pytest.raises(UsageError, match="--top 2, so it cannot go on with --top 3"):
        check_options(wanted, 3, None)
    with pytest.raises(UsageError, match="--seeds 4"):
        check_options(wanted, None, 5)
    with pytest.raises(ExperimentError, match="has 8 trials, not 9"):
        with_search(wanted, {"trials": 9})


def test_the_command_that_asked_for_more_than_there_were_goes_on() -> None:
    """Two of three trials are complete; a third one changes what is asked for."""
    study = searched([0.9, 0.8])
    planned = plan_confirmation(study, 3, 2)
    assert planned.experiment.confirmation is not None
    assert len(planned.experiment.confirmation.configurations) == 2
    begun = study_started(planned.experiment, study=planned.name, dataset=DATASET)
    paths = StudyPaths.of(planned.name)
    paths.folder.mkdir(parents=True)
    with closing(EventLog(paths.log)) as log:
        log.append(begun)
    for top in (None, 2, 3, 9):
        assert plan_confirmation(study, top, 2).begun is not None
    with pytest.raises(
        UsageError, match="--top 2, so it cannot go on with --top 1: what it says is only true"
    ):
        plan_confirmation(study, 1)
    more = searched([0.9, 0.8, 0.7])
    with pytest.raises(UsageError, match="--top 2, so it cannot go on with --top 3"):
        plan_confirmation(more, 3)


def test_the_forecast_is_what_the_same_trainings_took() -> None:
    study = searched([0.9, 0.8])  # 10 s each
    found = forecast(study, list(study.trials.values()), 5, 2)
    assert (found.trainings, found.seconds) == (10, 50.0)
    left = forecast(study, list(study.trials.values()), 5, 2, done=[0, 0, 0, 0, 0, 1])
    assert (left.trainings, left.seconds) == (4, 20.0)
    assert forecast(study, [study.trials[0]], 2, 8).seconds == 10.0


def test_other_data_than_the_studys_is_refused() -> None:
    dataset = replace(DATASET, split_digests={"train": "a", "validation": "b", "test": "c"})
    study = searched([0.9])
    study._started = replace(study.started, dataset=dataset)
    wanted = confirmation(study, 1, 2)
    check_data(wanted, dataset, StudyState())
    with pytest.raises(StudyError, match="its content digest differs"):
        check_data(wanted, replace(dataset, digest="1" * 64), StudyState())
    divided = replace(dataset, split_digests=dataset.split_digests | {"validation": "d"})
    with pytest.raises(StudyError, match="other images are in: validation"):
        check_data(wanted, divided, StudyState())
