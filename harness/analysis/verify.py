"""Whether the event log of a study, its files and the stores of all trackers agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.paths import StudyPaths, sha256_of, unfinished_in
from harness.paths.study import CHECKPOINTS
from harness.records import (
    CheckpointDamaged,
    EnsembleSaved,
    EpochEnded,
    LogRecord,
    ModelSaved,
    SegmentEnded,
    SegmentStarted,
    StudyStarted,
    TrialEnded,
)
from harness.study.cleanup import unrecorded_ensembles
from harness.study.going_on import command_to_go_on
from harness.study.openings import openings_in_words
from harness.study.state import StudyState, fold
from harness.tracking.tracker import Audit, Findings


@dataclass(frozen=True, slots=True)
class Check:
    """One property of a study, and what contradicts it."""

    name: str
    about: str
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What somebody has chosen to be so: it contradicts nothing."""
    mended_by_sync: bool = False
    """Whether `harness sync` writes what the trackers' stores lack in this respect."""


def verify(
    paths: StudyPaths,
    records: Sequence[LogRecord],
    audits: Sequence[Audit],
    is_locked: Callable[[], bool],
    workers: Sequence[int],
    load_error: Callable[[Path], str],
) -> list[Check]:
    """Check a study that is not running.

    Args:
        paths: of the study.
        records: its event log.
        audits: what the store of each tracker holds that differs from the log.
        is_locked: whether a coordinator holds the study.
        workers: process ids of workers of the study that are alive.
        load_error: why a model file does not load, or nothing.
    """
    state = fold(records)
    values, models = [one.values for one in audits], [one.models for one in audits]
    unfinished, states = [one.unfinished for one in audits], [one.states for one in audits]
    return [
        Check("V1", "every trial has exactly one end", tuple(_ends(state, records))),
        _check(
            "V2",
            "every store that keeps metrics has each value of the log once, and no other",
            values,
            mended_by_sync=True,
        ),
        _check(
            "V3",
            "every complete trial and ensemble has one finished run, a model, which loads, and predictions",
            models,
            [*_model_files(paths, state, load_error), *_predictions(paths, state)],
            mended_by_sync=True,
        ),
        _check(
            "V4",
            "nothing is running or left over",
            unfinished,
            _leftovers(paths, state, locked=is_locked(), workers=workers),
        ),
        _check("V5", "all agree on states and on the best trial", states, mended_by_sync=True),
        Check(
            "V6",
            "at most one epoch was trained twice for each interruption",
            tuple(_repeats(records)),
            tuple(_devices(records)),
        ),
        Check("V7", _about_openings(state), tuple(_openings(paths, state))),
    ]


def _check(
    name: str,
    about: str,
    in_stores: Sequence[Findings],
    problems: Sequence[str] = (),
    *,
    mended_by_sync: bool = False,
) -> Check:
    """A check of the stores, with further problems that were found elsewhere."""
    return Check(
        name,
        about,
        (*(problem for found in in_stores for problem in found.problems), *problems),
        tuple(note for found in in_stores for note in found.notes),
        mended_by_sync,
    )


def _ends(state: StudyState, records: Sequence[LogRecord]) -> list[str]:
    ends = Counter(record.event.trial for record in records if isinstance(record.event, TrialEnded))
    problems = [f"trial {trial} ended {count} times" for trial, count in sorted(ends.items()) if count > 1]
    if state.is_complete:
        problems += [f"trial {number} never ended" for number in state.trials if number not in ends]
    if list(state.trials) != list(range(len(state.trials))):
        problems.append("trial numbers have gaps")
    asked = max((r.event.trials for r in records if isinstance(r.event, StudyStarted)), default=0)
    if len(state.trials) > asked:
        problems.append(f"there are {len(state.trials)} trials, but only {asked} were asked for")
    return problems


def _model_files(paths: StudyPaths, state: StudyState, load_error: Callable[[Path], str]) -> list[str]:
    complete = [trial for trial in state.trials.values() if trial.state == "complete"]
    problems = [f"trial {trial.number} has no model" for trial in complete if trial.model is None]
    models: list[ModelSaved | EnsembleSaved] = [one.model for one in complete if one.model is not None]
    for model in [*models, *state.ensembles]:
        file = paths.folder / model.file
        if wrong := _wrong(file, model.sha256):
            problems.append(wrong)
        elif reason := load_error(file):
            problems.append(f"{file} does not load: {reason}")
    return problems


def _predictions(paths: StudyPaths, state: StudyState) -> list[str]:
    """What is wrong with the stored predictions of complete trials, folds and ensembles; earlier versions
    stored none of trials."""
    complete = [one for one in state.trials.values() if one.state == "complete"]
    kept: list[ModelSaved | EnsembleSaved] = [one.model for one in complete if one.model is not None]
    stored = [
        (one.predictions, one.predictions_sha256) for one in [*kept, *state.ensembles] if one.predictions
    ]
    stored += [file for one in state.trials.values() for file in one.fold_predictions.values()]
    found = [_wrong(paths.folder / file, sha256) for file, sha256 in stored]
    return [problem for problem in found if problem]


def _wrong(file: Path, sha256: str) -> str:
    if not file.is_file():
        return f"{file} is missing"
    return "" if sha256_of(file) == sha256 else f"{file} was changed: its SHA-256 differs"


def _leftovers(paths: StudyPaths, state: StudyState, *, locked: bool, workers: Sequence[int]) -> list[str]:
    problems = [f"{file} is unfinished work" for file in unfinished_in(paths.folder)]
    problems += [f"{file} is of no use any more" for file in _needless_checkpoints(paths, state)]
    problems += [
        f"{folder} belongs to an ensemble that was cut off; it is made by: harness ensemble {state.name}"
        for folder in unrecorded_ensembles(paths, state)
    ]
    problems += [f"worker process {worker} is alive" for worker in workers]
    if locked:
        problems.append("a coordinator holds the study's lock")
    if state.ended is None:
        problems.append(f"the last session was cut off; go on with: {command_to_go_on(state)}")
    return problems


def _needless_checkpoints(paths: StudyPaths, state: StudyState) -> list[Path]:
    found = {file for trial in state.trials for file in paths.trial(trial).glob(CHECKPOINTS)}
    needed = {
        paths.folder / checkpoint.file
        for trial in state.trials.values()
        if not trial.has_ended
        for checkpoint in trial.checkpoints
    }
    return sorted(found - needed)


def _about_openings(state: StudyState) -> str:
    """How often the test set was opened, and how it should have been."""
    how = ", in full and with the model that the trial has" if state.test_openings else ""
    return f"{openings_in_words(state)}{how}"


def _openings(paths: StudyPaths, state: StudyState) -> list[str]:
    """What is wrong with the evaluations on test images."""
    problems: list[str] = []
    recorded: dict[str, ModelSaved | EnsembleSaved | None] = {
        f"trial {one.number}": one.model for one in state.trials.values()
    }
    recorded |= {f"ensemble {one.number}": one for one in state.ensembles}
    for opening in state.test_openings:
        own = opening.trial is None
        name = f"ensemble {opening.ensemble}" if own else f"trial {opening.trial}"
        model = recorded.get(name)
        if model is not None and model.sha256 != opening.model_sha256:
            problems.append(f"the test set was opened for another model than the one that {name} has")
        if opening.evaluation is None:
            which = "--ensemble" if own else opening.trial
            problems.append(
                f"the test set was opened for {name}, but what was found is missing; finish it with: "
                f"harness confirm {paths.folder.name} {which} --as-is"
            )
        elif sum(map(sum, opening.evaluation.confusion)) != opening.images:
            problems.append(
                f"the evaluation of {name} is not of all {opening.images:,} test "
                f"{state.started.dataset.noun}s"
            )
    digests = {one.test_digest for one in state.test_openings if one.test_digest}
    if len(digests) > 1:
        problems.append(
            f"the test set was opened for models with different test {state.started.dataset.noun}s"
        )
    return problems


def _devices(records: Sequence[LogRecord]) -> list[str]:
    """That segments were trained on different kinds of devices, so that their numbers are not quite alike."""
    found = Counter(
        record.event.device.described
        if record.event.device is not None
        else "a processor, or a device that was not recorded"
        for record in records
        if isinstance(record.event, SegmentEnded)
    )
    if len(found) < 2:
        return []
    told = "; ".join(f"{number} on {device}" for device, number in found.most_common())
    return [f"segments were trained on different devices, whose numbers differ in their last digits: {told}"]


def _repeats(records: Sequence[LogRecord]) -> list[str]:
    """Epochs that were known when a segment began again before them."""
    known: dict[int, set[int]] = {}
    problems: dict[tuple[int, int], str] = {}
    for record in records:
        event = record.event
        if isinstance(event, EpochEnded):
            known.setdefault(event.trial, set()).add(event.epoch)
        elif isinstance(event, SegmentStarted):
            again = [epoch for epoch in known.get(event.trial, ()) if epoch > event.start]
            if len(again) > 1:
                problems[event.trial, event.attempt] = (
                    f"attempt {event.attempt} of trial {event.trial} repeated {len(again)} epochs"
                )
        elif isinstance(event, CheckpointDamaged):
            # Its epochs had to be trained again; that is told where it happened.
            problems.pop((event.trial, event.attempt), None)
    return list(problems.values())
