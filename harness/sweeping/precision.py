"""What a study's layers compute with: what its file names, or bfloat16 where that is clearly faster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from harness.engine.remembered import machine, recall, remember
from harness.experiment.drawing import typical
from harness.experiment.experiment import Experiment
from harness.experiment.keys import program_key
from harness.experiment.load import computing_in
from harness.experiment.parameters import CATALOG, FAMILIES_WITH_BODY
from harness.experiment.space_conditions import only_heads, possible_values
from harness.gpus import gpus, visible_gpus
from harness.machine import CPUINFO, computes_in_bfloat16, usable_cores
from harness.records import Dataset, Params, Precision, Question
from harness.study.state import StudyState
from harness.sweeping.plan import Stop, Watcher
from harness.sweeping.preparing import progress_of
from harness.sweeping.workers import Workers

GAIN = 1.2
"""How many times as fast as float32 bfloat16 has to be to be taken: for less, numbers need not be coarser."""
SECONDS = 5.0
"""For measuring, compiling included."""
ANSWER_SECONDS = 30.0
"""The longest to wait for a worker to start, and then for its answer."""
LABEL = "measuring bfloat16"
WITH_BFLOAT16 = (8, 0)
"""The compute capability from which GPUs have instructions for it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What `auto` stands for."""

    precision: Precision
    why: str

    def __str__(self) -> str:
        return f"{self.precision} ({self.why})"


def without_measuring(experiment: Experiment) -> Taken | None:
    """What `auto` stands for in a new study; None where it has to be measured."""
    if experiment.search.ordered:
        return Taken("float32", "an ordered study measures nothing, so that it can be repeated anywhere")
    if only_heads(experiment.space.parameters):
        return Taken("float32", "heads on features are too small to gain by anything else")
    if (lacking := _without_bfloat16()) is not None:
        return Taken("float32", lacking)
    return None


def _without_bfloat16() -> str | None:
    """Why the devices that train are not made for bfloat16; None if they are, or if that is not known."""
    found = gpus()
    if not found:
        known = computes_in_bfloat16(CPUINFO)
        return None if known else "this processor has no instructions for bfloat16"
    oldest = min((gpu.capability for gpu in found if gpu.capability is not None), default=WITH_BFLOAT16)
    if oldest >= WITH_BFLOAT16:
        return None
    least, own = (".".join(map(str, one)) for one in (WITH_BFLOAT16, oldest))
    return f"GPUs compute in bfloat16 from compute capability {least} on, and here is one of {own}"


def settled(experiment: Experiment, state: StudyState, note: Callable[[str], None]) -> Experiment:
    """The experiment with the precision that needs no measuring; `auto` stays where it does.

    Args:
        experiment: whatever its file says.
        state: the study so far; if it has begun, its precision holds.
        note: told what is taken for `auto`, and why.
    """
    if experiment.training.precision != "auto":
        lacking = _without_bfloat16() if gpus() and experiment.training.precision == "bfloat16" else None
        if lacking is not None:
            note(f"precision: bfloat16, as it was chosen. It will be slow: {lacking}.")
        return experiment
    if state.has_begun:
        recorded = state.experiment.training.precision
        assert recorded != "auto", "a study begins when it is known"
        found: Taken | None = Taken(recorded, "as the study began")
    else:
        found = without_measuring(experiment)
    return experiment if found is None else _with(experiment, found, note)


def measured(
    experiment: Experiment,
    dataset: Dataset,
    workers: Workers,
    watcher: Watcher,
    stop: Stop,
    out_of_time: Callable[[], bool] = lambda: False,
) -> Experiment:
    """The experiment with `auto` decided by a worker, which trains the typical configuration a little.

    Args:
        experiment: with what `settled` has found.
        dataset: whose images and classes decide how large the network is.
        workers: one of which is asked, unless this case was measured before on this machine.
        watcher: told what is taken, and why.
        stop: ends the waiting.
        out_of_time: ends it too, when it turns true: what is not known by then is float32.

    Raises:
        EngineError: workers cannot be started.
        KeyboardInterrupt: `stop` was set.
    """
    if experiment.training.precision != "auto":
        return experiment
    classes, threads = len(dataset.classes), max(1, usable_cores() // workers.number)
    case = f"{dataset.described()}, {classes} classes, threads: {threads}"
    kind = _kind_of(experiment)
    if (known := _remembered(kind).get(case)) is not None:
        return _with(experiment, _by(known, "measured before"), watcher.note)
    arguments = {
        "params": _trained(experiment),
        "image_shape": list(dataset.example_shape),
        "classes": classes,
        "seconds": SECONDS,
    }
    progress = progress_of(watcher, stop)

    def interrupted() -> bool:
        progress(LABEL, 0, 1)  # raises
        return out_of_time()

    question = Question(name="precisions", arguments=arguments)
    answer = workers.ask(question, ANSWER_SECONDS, unless=interrupted)
    progress(LABEL, 1, 1)
    if answer is None or answer.error is not None:
        reason = (answer.error if answer and answer.error else "no worker answered").partition("\n")[0]
        why = f"how fast bfloat16 is could not be measured: {reason}"
        return _with(experiment, Taken("float32", why), watcher.note)
    remember(kind + case, answer.found)
    return _with(experiment, _by(answer.found, "measured"), watcher.note)


def foreseen(experiment: Experiment) -> str:
    """What a new study of this experiment would compute with, in words, as far as that is known."""
    chosen = experiment.training.precision
    if chosen != "auto":
        return chosen
    known = without_measuring(experiment)
    if known is not None:
        return f"auto: {known}"
    before = _remembered(_kind_of(experiment))
    found = [str(_by(seconds, f"measured before: {case}")) for case, seconds in before.items()]
    return f"auto: {'; '.join(found) or 'measured when the sweep begins'}"


def assumed(experiment: Experiment) -> Precision:
    """What a new study of this experiment would probably compute with, without measuring anything."""
    chosen = experiment.training.precision
    if chosen != "auto":
        return chosen
    known = without_measuring(experiment)
    if known is not None:
        return known.precision
    before = list(_remembered(_kind_of(experiment)).values())
    return _by(before[-1], "measured before").precision if before else "bfloat16"


def _trained(experiment: Experiment) -> Params:
    """The typical configuration; if it has a body, with as much of that trained as the space allows."""
    params, space = typical(experiment.space), experiment.space.parameters
    if params["family"] not in FAMILIES_WITH_BODY or "unfreeze" not in space:
        return params
    blocks = possible_values(space["unfreeze"]) or {CATALOG["unfreeze"].high}
    return params | {"unfreeze": max(int(number) for number in blocks)}


def _kind_of(experiment: Experiment) -> str:
    """What the keys of its measurements begin with: the machine and the kind of network."""
    return f"precisions {machine(visible_gpus())} {program_key(_trained(experiment))} | "


def _remembered(kind: str) -> dict[str, dict[str, float]]:
    """Measurements of a kind of network on this machine: seconds of a step by precision, for each case."""
    return {
        key.removeprefix(kind): seconds
        for key, seconds in recall(kind).items()
        if all(seconds.get(precision, 0) > 0 for precision in get_args(Precision))
    }


def _by(seconds: dict[str, float], when: str) -> Taken:
    """What measurements decide.

    Args:
        seconds: of a step, by precision.
        when: they were made, in words.
    """
    gain = seconds["float32"] / seconds["bfloat16"]
    if gain >= GAIN:
        return Taken("bfloat16", f"{gain:.2f} times as fast as float32 on this machine, {when}")
    return Taken("float32", f"bfloat16 is only {gain:.2f} times as fast on this machine, {when}")


def _with(experiment: Experiment, taken: Taken, note: Callable[[str], None]) -> Experiment:
    note(f"precision: {taken}")
    return computing_in(experiment, taken.precision)
