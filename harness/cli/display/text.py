"""The sentences and figures that displays show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.study.refused import refusals
from harness.study.state import best, best_of

if TYPE_CHECKING:
    from harness.records import Dataset, FeaturesReady, Pulse
    from harness.study.state import StudyState
    from harness.study.trial import Trial
    from harness.sweeping.plan import SweepPlan, SweepResult


def epoch_text(metrics: dict[str, float]) -> str:
    """The metrics of one epoch that people look at first, in one line."""
    shown = ("loss", "accuracy", "val_loss", "val_accuracy", "val_f1_macro")
    figures = [f"{name} {metrics[name]:.4f}" for name in shown if name in metrics]
    return "  ".join([*figures, f"{metrics['epoch_seconds']:.1f} s"])


def pulse_text(pulse: Pulse) -> str:
    """How far a trial is within an epoch: `45 %`, of its validation `validation 45 %`."""
    if pulse.phase == "writing":
        return "its checkpoint is written"
    share = f"{100 * pulse.share:.0f} %"
    if pulse.phase == "features":
        return f"computing features {share}"
    return share if pulse.phase == "training" else f"{pulse.phase} {share}"


def features_text(event: FeaturesReady, noun: str) -> str | None:
    """What a worker has computed of the features that trials are trained on; None if it was nothing."""
    if not event.computed:
        return None
    rate = event.computed / max(event.seconds, 1e-3)
    return (
        f"features  {event.body}: {event.computed:,} {noun}s computed in {event.seconds:.1f} s "
        f"({rate:,.0f} {noun}s/s)"
    )


def headline(state: StudyState, plan: SweepPlan, workers: int) -> str:
    """Two lines on the study, its data, and the number of workers that run it."""
    data = plan.dataset
    counts = ", ".join(
        f"{count:,} {_split_text(split, data)}" for split, count in data.counts.items() if count
    )
    done = f", {len(state.trials)} there already" if state.trials else ""
    return (
        f"study {state.started.study}: {count(plan.trials, 'trial')}{done}, {count(workers, 'worker')}\n"
        f"data  {data.name}: {counts} {data.described()}, {len(data.classes)} classes"
    )


def _split_text(split: str, data: Dataset) -> str:
    if split != "train" or not data.folds:
        return split
    times = f", dealt out {data.repeats} times" if data.repeats > 1 else ""
    return f"in {data.folds} folds{times}"


def summary(result: SweepResult) -> list[str]:
    """Lines on how the sweep ended, which trial is the best, and what to type next."""
    state = result.state
    name = state.started.study
    states = [trial.state for trial in state.trials.values()]
    counts = ", ".join(
        f"{states.count(state)} {'cut off' if state == 'running' else state}"
        for state in ("complete", "pruned", "failed", "paused", "running", "waiting")
        if state in states
    )
    lines = [f"{name}: {result.ended.reason} ({counts or 'nothing had begun'}) in {clock(result.seconds)}"]
    lines += refusals(state)
    if state.experiment.confirmation is not None:  # whose best training is only the luckiest
        return lines
    champion = best(state)
    if champion is not None:
        metric = state.objective.name
        lines += [
            f"best  trial {champion.number}: {metric} {champion.score:.4f}{_folds_text(champion)}  "
            f"{params_text(champion)}",
            f"next  harness leaderboard {name}",
            f"      harness show {champion.number} --study {name}",
            *([f"      harness confirm {name}"] if state.started.dataset.counts.get("test") else []),
            f"      harness export {name}",
            "      harness ui",
        ]
    elif not result.ended.complete:
        lines.append("best  none yet: no trial has been trained to its end")
    return lines


def _folds_text(trial: Trial) -> str:
    """Of how many folds a score is the mean, to be added to it; empty without folds."""
    if trial.standard_error is None:
        return ""
    return (
        f" (mean of {trial.folds.finished(trial.reached)} folds, standard error {trial.standard_error:.4f})"
    )


def place_text(plan: SweepPlan, epoch: int) -> str:
    """Which epoch of how many this is: `epoch 3/20`, of a fold `fold 2/5, epoch 3/20`."""
    folds = plan.experiment.folds
    text = f"epoch {epoch - folds.before(epoch)}/{plan.max_epochs}"
    if not folds.parts:
        return text
    fold = folds.fold_of(epoch)
    return f"all {plan.dataset.noun}s, {text}" if fold is None else f"fold {fold + 1}/{folds.number}, {text}"


def reached_text(plan: SweepPlan, trial: Trial, epoch: int) -> str:
    """How far a trial has come that has reached this epoch: `3 epochs`, `7 epochs, annealed` or `2 folds`."""
    folds = plan.experiment.folds
    text = count(folds.finished(epoch), "fold") if folds.parts else count(epoch, "epoch")
    annealed = trial.annealing is not None and epoch >= trial.annealing.stop
    return f"{text}, annealed" if annealed else text


def score_text(trial: Trial, epoch: int, plan: SweepPlan) -> str:
    """The objective's value of a trial after an epoch, as text; a dash if it is not known."""
    value = trial.metrics_after(epoch).get(plan.experiment.objective.name)
    return "–" if value is None else f"{value:.4f}"


def best_text(champion: Trial | None) -> str:
    """The best complete trial so far, to be added to a line; empty if there is none."""
    return f"  best {champion.score:.4f} (trial {champion.number})" if champion else ""


def with_result(trials: list[Trial]) -> int:
    """How many of the trials are neither running nor waiting."""
    return sum(trial.state not in ("running", "waiting") for trial in trials)


def best_line(trials: list[Trial], plan: SweepPlan) -> str:
    """The best complete trial in one line, or if none is complete, the one that has come farthest."""
    objective = plan.experiment.objective
    champion = best_of(trials, objective)
    if champion is None:
        ahead = [trial for trial in trials if trial.score is not None]
        if not ahead:
            return "best  nothing yet"
        leader = max(ahead, key=lambda trial: (trial.reached, objective.larger_is_better(trial.score or 0.0)))
        folds = plan.experiment.folds
        reached, whole = leader.reached, f"{plan.max_epochs} epochs"
        if folds.parts:
            reached, whole = folds.finished(leader.reached), f"{folds.number} folds"
        return (
            f"ahead  trial {leader.number}  {objective.name} {leader.score:.4f} after {reached} of {whole}  "
            f"{params_text(leader)}"
        )
    return f"best  trial {champion.number}  {objective.name} {champion.score:.4f}  {params_text(champion)}"


def params_text(trial: Trial) -> str:
    """The parameters that the sampler chose, as `name=value` in one line."""
    return " ".join(
        f"{name.split('[')[0]}={value:.4g}" if isinstance(value, float) else f"{name.split('[')[0]}={value}"
        for name, value in trial.sampled.items()
    )


def count(number: int, noun: str) -> str:
    """The number with its noun, in the plural unless it is one."""
    return f"{number} {noun}{'s' * (number != 1)}"


def clock(seconds: float) -> str:
    """Seconds as the text `m:ss` or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
