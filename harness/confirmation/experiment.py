"""The experiment of a confirmation: a study of its own beside the one whose best configurations it trains
anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import yaml

from harness.errors import UsageError
from harness.experiment.experiment import Experiment
from harness.experiment.load import changed, dump
from harness.experiment.parameters import applies
from harness.seeds import seed_from
from harness.study.names import check_name
from harness.study.state import StudyState
from harness.study.trial import Trial
from harness.sweeping.parts import make_scheduler

SUFFIX = ".confirm"
"""What the name of a confirmation ends with, behind the name of the study that it confirms."""
SEEDS = 5
"""Seeds unless others are asked for."""
KEPT = ("workers", "worker_memory", "data_memory", "hang_seconds")
"""What a confirmation takes over from the `search` section of the study."""


def confirmation_name(study: str) -> str:
    """The name of the confirmation of a study; raises UsageError if it is too long to be one."""
    return check_name(f"{study}{SUFFIX}")


def fresh_seeds(seed: int, count: int) -> list[int]:
    """Seeds of trainings, from the study's own; none of its trials has one of them but by chance.

    Args:
        seed: the study's.
        count: how many.
    """
    return [seed_from(seed, "confirm", number) for number in range(count)]


def confirmation_of(state: StudyState, trials: Sequence[Trial], seeds: int) -> Experiment:
    """The experiment that trains the configurations of some trials anew, to the end, on so many seeds each.

    The data, its split, and how a training goes are the study's own; of several objectives the first one is
    left. Limits of the search and of networks do not hold: these networks have kept them.

    Args:
        state: of the study.
        trials: of it; the best first.
        seeds: at least 2.
    """
    experiment, started = state.experiment, state.started
    scheduler = make_scheduler(experiment)
    values = dump(experiment)
    # An edited space has no place for what was sampled from the one before.
    fit = all(trial.space_version == state.space_version for trial in trials)
    confirmation: dict[str, Any] = {
        "study": state.name,
        "study_id": started.study_id,
        "data_digest": started.dataset.digest,
        "split_digests": dict(started.dataset.split_digests),
        "weights": dict(started.weights),
        "seeds": fresh_seeds(experiment.seed, seeds),
        "configurations": [
            {
                "trial": trial.number,
                "score": trial.score,
                "params": dict(trial.params),
                "sampled": dict(trial.sampled) if fit else {},
                "cycles": list(scheduler.cycles(trial.number)),
                "annealing": None if trial.annealing is None else asdict(trial.annealing),
            }
            for trial in trials
        ],
    }
    kept = {name: values["search"][name] for name in KEPT}
    return changed(
        experiment,
        description=f"The best configurations of {state.name}, each trained anew on {seeds} seeds.",
        search=kept | {"trials": seeds * len(trials), "sampler": "random"},
        scheduler={"kind": "none"},
        objectives=values["objectives"][:1],
        constraints={},
        start_with=[],
        space=values["space"] if fit else _constants(trials[0]),
        confirmation=confirmation,
    )


def _constants(trial: Trial) -> dict[str, Any]:
    """A space with the one configuration of a trial."""
    params = trial.params
    return {name: value for name, value in params.items() if "family" not in params or applies(name, params)}


def as_text(experiment: Experiment) -> str:
    """The experiment as the file that its study keeps."""
    return yaml.safe_dump(dump(experiment), sort_keys=False, allow_unicode=True)


def check_options(recorded: Experiment, top: int | None, seeds: int | None) -> None:
    """Raises UsageError if a confirmation that has begun is asked for with other figures than it began
    with."""
    confirmed = recorded.confirmation
    assert confirmed is not None
    has = {"--top": len(confirmed.configurations), "--seeds": len(confirmed.seeds)}
    for option, given in (("--top", top), ("--seeds", seeds)):
        if given is not None and given != has[option]:
            raise UsageError(
                f"{confirmation_name(confirmed.study)} was begun with {option} {has[option]}, so it cannot "
                f"go on with {option} {given}: what it says is only true of figures that were chosen before "
                "any of its scores were known. Leave the option out to go on with it, or to see what it has "
                "found."
            )
