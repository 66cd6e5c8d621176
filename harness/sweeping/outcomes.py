"""A trial's next segment, what came of one, and its end: pure functions of the trial's state."""

from __future__ import annotations

import math

from harness.clock import now_ms
from harness.experiment.parameters import FAMILIES_WITH_BODY
from harness.records import Annealing, FailureKind, Segment, TrialEnded, TrialState
from harness.schedulers.protocol import Values
from harness.seeds import seed_from
from harness.study.state import StudyState
from harness.study.trial import Trial
from harness.sweeping.plan import SweepPlan
from harness.sweeping.policy import Outcome
from harness.sweeping.unfreezing import unfreezing_epoch


def next_segment(
    plan: SweepPlan,
    trial: Trial,
    stop: int,
    cycles: tuple[int, ...],
    annealing: Annealing | None = None,
) -> Segment:
    """The segment that takes the trial from its last checkpoint to the epoch `stop`.

    It lies within one fold. Every fold has a seed of its own, so that the mean over folds is also one over
    initial weights and orders of images; the training on all images has the trial's.

    Args:
        plan: the sweep's.
        trial: whose segment it is.
        stop: the epoch at which it ends, unless its fold ends before.
        cycles: the epochs at which the cycles of the trial's learning rate end, as its scheduler says.
        annealing: how it is trained to its end early, from now on. What has begun is gone on with, whatever
            is given here; None: nothing has, or it is not.
    """
    annealing = trial.annealing or annealing
    stop = min(stop, annealing.stop) if annealing else stop
    experiment, folds = plan.experiment, trial.folds
    begun = folds.finished(trial.reached) * folds.epochs
    checkpoints = [one for one in trial.checkpoints if one.epoch > begun]
    earlier, checkpoint = ([None, None, *checkpoints])[-2:]
    start = checkpoint.epoch if checkpoint else begun
    before, fold = folds.before(start + 1), folds.fold_of(start + 1)
    return Segment(
        study_folder=str(plan.study_folder),
        trial=trial.number,
        attempt=trial.attempts + 1,
        params=trial.params,
        seed=trial.seed if fold is None else seed_from(trial.seed, "fold", fold),
        start=start,
        stop=min(stop, before + folds.epochs) if folds.parts else stop,
        max_epochs=plan.max_epochs,
        fold=fold,
        before=before,
        last=before + folds.whole_epochs(trial.epochs) if before and fold is None else None,
        cycles=cycles,
        annealing=annealing,
        unfreeze_at=unfreezing_epoch(plan.experiment, cycles),
        dataset=plan.dataset,
        checkpoint=checkpoint,
        earlier_checkpoint=earlier,
        microbatches=trial.microbatches,
        epoch_images=experiment.training.epoch_images,
        precision=plan.precision,
        past_losses=tuple(
            trial.epochs[epoch].get("val_loss", trial.epochs[epoch].get("loss", math.nan))
            for epoch in range(before + 1, start + 1)
        ),
        measure=() if trial.measured else experiment.measured,
        limits={} if trial.measured else {str(name): limit for name, limit in experiment.constraints.items()},
        weights=_weights(plan, trial),
    )


def _weights(plan: SweepPlan, trial: Trial) -> str:
    """The digest of the pretrained weights that the trial begins with; empty if it has none."""
    if trial.params.get("family") not in FAMILIES_WITH_BODY:
        return ""
    return plan.weights.get(str(trial.params["backbone"]), "")


def outcome(plan: SweepPlan, trial: Trial, stop: int, epoch: int, state: TrialState | None = None) -> Outcome:
    """What came of the segment that was to reach the epoch `stop`.

    Args:
        plan: the sweep's.
        trial: whose segment it was.
        stop: the epoch it was to reach.
        epoch: the epoch it did reach.
        state: how the trial ended with it; None if it is paused.
    """
    return Outcome(
        trial=trial.number,
        stop=stop,
        values=values_after(plan, trial, epoch),
        scores=trial.scores(plan.experiment.objective.name, epoch),
        state=state,
        final=_finite(plan, trial) if state in ("complete", "pruned") else None,
        seconds=trial.epoch_seconds,
        usual_seconds=trial.usual_epoch_seconds,
    )


def known_outcome(plan: SweepPlan, trial: Trial, stop: int) -> Outcome | None:
    """What the log says of a segment that was run in an earlier session; None if it was not."""
    went_on = not trial.has_ended or trial.state == "pruned" or trial.target > stop
    if trial.reached >= stop and went_on:
        return outcome(plan, trial, stop, stop)
    if trial.state in ("complete", "pruned", "failed"):
        return outcome(plan, trial, stop, trial.last_epoch, trial.state)
    return None


def values_after(plan: SweepPlan, trial: Trial, epoch: int) -> Values:
    """All objectives after an epoch, larger-is-better; NaN where they are not known."""
    known = trial.metrics_after(epoch)
    return tuple(one.larger_is_better(known.get(one.name, math.nan)) for one in plan.experiment.objectives)


def trial_ended(
    plan: SweepPlan,
    trial: Trial,
    state: TrialState,
    *,
    reason: str,
    failure: FailureKind | None = None,
    traceback: str = "",
) -> TrialEnded:
    """The trial's one terminal state, as it is written down."""
    # What a network scores whose loss is not a number says nothing.
    known = {} if failure == "diverged" else trial.last_metrics
    metric = plan.experiment.objective.name
    score = known.get(metric, math.nan)
    error = trial.folds.standard_error(trial.fold_scores(metric, trial.reached)) if known else None
    return TrialEnded(
        trial=trial.number,
        state=state,
        score=score if math.isfinite(score) else None,
        values=None if failure == "diverged" else _finite(plan, trial),
        standard_error=error if error is not None and math.isfinite(error) else None,
        epoch=trial.last_epoch,
        reason=reason,
        failure=failure,
        traceback=traceback,
        time=now_ms(),
    )


def completed_reason(plan: SweepPlan, trial: Trial) -> str:
    """Why a trial that was trained to its end is complete."""
    if trial.folds.parts:
        epochs = trial.reached - trial.folds.before(trial.reached)
        number = f"{epochs} epoch{'s' * (epochs != 1)}"
        return f"finished: trained on all {plan.dataset.noun}s for {number}, as many as its folds took"
    if trial.annealing is not None:
        return (
            f"annealed from epoch {trial.annealing.start} to {trial.annealing.stop} of {plan.max_epochs} in "
            "the time that was left"
        )
    early = trial.reached < plan.max_epochs
    return f"stopped improving at epoch {trial.reached}" if early else "finished"


def outcompeted_reason(trial: Trial) -> str:
    """Why a trial that is paused when its study ends goes no further."""
    ended = trial.folds.finished(trial.reached)
    if not ended:
        return f"outcompeted at epoch {trial.last_epoch}"
    return f"outcompeted after {ended} of {trial.folds.number} folds"


def ending(plan: SweepPlan, state: StudyState, *, exhausted: bool) -> str:
    """Why a study that was not stopped has ended.

    Args:
        plan: the sweep's.
        state: the study.
        exhausted: every configuration of the space has been tried; of a confirmation, some of the trainings
            that were listed are not needed.
    """
    if exhausted and plan.experiment.confirmation is not None:
        return f"{len(state.trials)} of {plan.trials} trainings were enough"
    if exhausted and len(state.trials) < plan.trials:
        return f"all {len(state.trials)} configurations of the space have been tried"
    return f"all {plan.trials} trials have ended" if plan.trials > 1 else "the trial has ended"


def _finite(plan: SweepPlan, trial: Trial) -> list[float] | None:
    """All objectives at the end of the trial; None unless all are finite."""
    known = trial.last_metrics
    found = [known.get(one.name, math.nan) for one in plan.experiment.objectives]
    return found if all(map(math.isfinite, found)) else None
