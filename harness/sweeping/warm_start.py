"""What a study learns from earlier ones before its first trial: `search.warm_start`.

Named studies are taken at their word: the sampler knows their trials as if they were its own. Of studies that
are found in the workspace (`auto`) only the best trials count, and less the more results there are: as priors
of what they have in common, and as configurations to begin with. All that is taken is written into the log of
the study, so that it goes on, and is reproduced, without the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from harness.errors import HarnessError, StudyError
from harness.experiment.distributions import Constant, contains
from harness.experiment.experiment import Experiment
from harness.experiment.priors import as_written, fits, read_prior
from harness.experiment.samplers import SAMPLERS
from harness.experiment.space import Alternative, Space
from harness.experiment.space_conditions import families_of
from harness.paths import StudyPaths, study_names
from harness.records import Dataset, EarlierTrial, Params, WarmStart
from harness.study.event_log import read
from harness.study.names import check_name
from harness.study.opening import unknown_study
from harness.study.state import StudyState, fold
from harness.study.trial import Trial
from harness.sweeping.learned import Good, learned_priors

AUTOMATIC, NONE = "auto", "none"
NEWEST = 20
"""Studies of a workspace that are looked at, those that were active last."""
LEAST_TRIALS = 5
"""With a score, below which nothing is learned from a study."""
BEST = 0.2
"""The share of a study's trials that is learned from."""
MOST_STARTS = 3
"""Configurations that a study begins with because they were the best of others."""
OVERLAP = 0.5
"""The share of what is searched that an earlier study must have searched, too."""
SIDES, CLASSES, IMAGES = 2.0, 2.0, 4.0
"""By what factor data of the same kind may differ: in the longer side of images, the number of classes and
the number of training images."""
_STRANGE = HarnessError, OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError
"""What reading the log of a stranger may raise."""


@dataclass(frozen=True, slots=True)
class _Earlier:
    """A study to learn from."""

    state: StudyState
    ranked: list[Trial]
    """Trials with a score, the best first."""
    same_data: bool


def warm_start(
    experiment: Experiment,
    name: str,
    state: StudyState,
    dataset: Callable[[], Dataset],
    note: Callable[[str], None],
) -> WarmStart | None:
    """What a session's sampler begins with beside its own trials.

    Args:
        experiment: what is searched.
        name: the study's.
        state: the study so far; what it took once holds.
        dataset: gives the data set, which takes a while.
        note: told what was learned, and from which studies.

    Raises:
        StudyError: a study that is named does not exist or had other objectives.
    """
    wanted, taken = experiment.search.warm_start, state.warm_start
    if experiment.confirmation is not None or wanted == NONE:
        return None if experiment.confirmation is not None else taken
    if wanted == AUTOMATIC:
        return taken if state.has_begun else _found(experiment, name, dataset(), note)
    if taken is not None and (not wanted or taken.studies == wanted):
        return taken
    return _named(experiment, list(wanted), note) if wanted else None


def with_priors(space: Space, learned: WarmStart | None) -> Space:
    """The space with what was learned of parameters of which it says nothing itself."""
    if learned is None or not learned.priors:
        return space

    def told(one: Alternative) -> Alternative:
        written = learned.priors.get(one.sampled_as)
        if written is None or one.prior is not None or not fits(one.values, written):
            return one
        return replace(one, prior=read_prior(one.values, written))

    return replace(
        space, parameters={name: tuple(map(told, found)) for name, found in space.parameters.items()}
    )


def _named(experiment: Experiment, names: list[str], note: Callable[[str], None]) -> WarmStart:
    """All trials of these studies."""
    trials: list[EarlierTrial] = []
    for name in names:
        paths = StudyPaths.of(check_name(name))
        if not paths.log.exists():
            raise StudyError(f"search.warm_start: {unknown_study(name)}")
        other = fold(read(paths.log))
        if not other.has_begun or other.experiment.objectives != experiment.objectives:
            raise StudyError(
                f"search.warm_start: the study {name} had other objectives, so it cannot be compared."
            )
        fitting = [
            one
            for one in earlier_trials(other, len(experiment.objectives))
            if _fits(experiment.space, one.sampled)
        ]
        note(f"warm start: {len(fitting)} of the {len(other.trials)} trials of {name} fit the space")
        trials += fitting
    return WarmStart(studies=names, trials=trials)


def earlier_trials(other: StudyState, objectives: int) -> Iterator[EarlierTrial]:
    """The ended trials of a study, as a sampler with so many objectives is to know them."""
    for past in other.trials.values():
        if past.values is None or past.state == "failed" or len(past.values) != objectives:
            continue
        whole = past.state == "complete" or objectives > 1
        scores = other.scores(past, past.reached)
        yield EarlierTrial(sampled=past.sampled, scores=scores, values=past.values if whole else None)


def _fits(space: Space, sampled: Params) -> bool:
    from harness.tracking.optuna_space import distributions_of

    try:
        distributions_of(space, sampled)
    except ValueError:
        return False
    return True


def _found(
    experiment: Experiment, name: str, dataset: Dataset, note: Callable[[str], None]
) -> WarmStart | None:
    """What studies in the workspace have found that were about the same kind of space and data."""
    sampler = experiment.search.sampler
    if not SAMPLERS[sampler].takes_priors:
        note(f"warm start: nothing is learned, because the sampler {sampler} goes by no priors")
        return None
    studies: list[_Earlier] = []
    passed_over: list[str] = []
    for other in [one for one in study_names() if one != name][-NEWEST:]:
        found = _look_at(other, experiment, dataset)
        if isinstance(found, str):
            passed_over.append(f"{other} ({found})")
        else:
            studies.append(found)
    if passed_over:
        note(f"warm start: passed over {'; '.join(passed_over)}")
    if not studies:
        note("warm start: there is no earlier study of the same kind of space and data here to learn from")
        return None
    studies.sort(key=lambda one: not one.same_data)
    learned = _learned(experiment.space, studies)
    note(_told(learned, studies))
    return learned


def _look_at(name: str, experiment: Experiment, dataset: Dataset) -> _Earlier | str:
    """A study to learn from, or why nothing is learned from it."""
    try:
        state = fold(read(StudyPaths.of(name).log))
        if not state.has_begun or state.ended is None:
            return "it has not ended"
        if reason := _difference(experiment, dataset, state):
            return reason
        ranked = _ranked(state)
    except _STRANGE as error:
        return f"it cannot be read: {str(error).partition(chr(10))[0].rstrip('.') or type(error).__name__}"
    if len(ranked) < LEAST_TRIALS:
        return f"only {len(ranked)} of its trials have a score"
    return _Earlier(state, ranked, state.started.dataset.digest == dataset.digest)


def _difference(experiment: Experiment, dataset: Dataset, other: StudyState) -> str:
    """Why a study is about something else; empty if it is not."""
    theirs, data = other.experiment, other.started.dataset
    if theirs.confirmation is not None:
        return "it is no search"
    if theirs.objective != experiment.objective:
        return "another objective"
    if theirs.model != experiment.model:
        return "another model"
    own, known = experiment.space.searched, theirs.space.searched
    shared = [name for name in own if name in known and type(own[name]) is type(known[name])]
    families = families_of(experiment.space.parameters) & families_of(theirs.space.parameters)
    if len(shared) < OVERLAP * len(own) or not (shared and families):
        return "another space"
    if data.digest == dataset.digest:
        return ""
    differs = (
        bool(data.frames) != bool(dataset.frames)
        or data.image_shape[2] != dataset.image_shape[2]
        or _apart(max(data.image_shape[:2]), max(dataset.image_shape[:2])) > SIDES
        or _apart(len(data.classes), len(dataset.classes)) > CLASSES
        or _apart(data.counts["train"], dataset.counts["train"]) > IMAGES
    )
    return "another kind of data" if differs else ""


def _apart(one: int, other: int) -> float:
    low, high = sorted((max(1, one), max(1, other)))
    return high / low


def _ranked(state: StudyState) -> list[Trial]:
    """Trials with a score: complete ones first, then those that came further, which had to be better."""
    better = state.objective.larger_is_better
    scored = [(one.score, one) for one in state.trials.values() if one.score is not None]
    scored.sort(key=lambda pair: (pair[1].state != "complete", -pair[1].reached, -better(pair[0])))
    return [one for score, one in scored if math.isfinite(score) and one.state != "failed"]


def _best(study: _Earlier) -> list[Trial]:
    return study.ranked[: max(3, math.ceil(BEST * len(study.ranked)))]


def _learned(space: Space, studies: list[_Earlier]) -> WarmStart:
    ranked = [
        (rank, Good(trial.params, _searched(study.state)))
        for study in studies
        for rank, trial in enumerate(_best(study))
    ]
    ranked.sort(key=lambda pair: pair[0])  # the best of all studies, the next of all, …
    among = space.searched
    priors = learned_priors(space, [good for _, good in ranked])
    starts = [_within(space, study.ranked[0].params) for study in studies[:MOST_STARTS]]
    return WarmStart(
        studies=[study.state.name for study in studies],
        priors={name: as_written(among[name], prior) for name, prior in priors.items()},
        starts=[start for start in starts if start],
    )


def _searched(state: StudyState) -> frozenset[str]:
    """The parameters that a study searched."""
    parameters = state.experiment.space.parameters
    return frozenset(
        name
        for name, found in parameters.items()
        if not all(isinstance(one.values, Constant) for one in found)
    )


def _within(space: Space, params: Params) -> Params:
    """What of a configuration lies in a space."""
    return {
        name: params[name]
        for name, alternatives in space.parameters.items()
        if name in params and any(contains(one.values, params[name]) for one in alternatives)
    }


def _told(learned: WarmStart, studies: list[_Earlier]) -> str:
    sources = [
        f"{len(_best(one))} of {len(one.ranked)} trials of {one.state.name} "
        f"({'the same data' if one.same_data else 'data of the same kind'})"
        for one in studies
    ]
    names = list(dict.fromkeys(name.partition("[")[0] for name in learned.priors))
    about = f"what is probably good of {', '.join(names)}" if names else "nothing in common"
    count = len(learned.starts)
    starts = f"the best configuration{'s' if count > 1 else ''} of {count} to begin with" if count else ""
    return f"warm start: learned from the best {', '.join(sources)}: {about}" + (
        f", and {starts}" if starts else ""
    )
