"""Whether the weights that a sweep's networks begin with are to be had, and are those that the study began
with: a worker looks, or fetches them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from harness.errors import PretrainedError, StudyError
from harness.experiment.experiment import Experiment
from harness.experiment.parameters import FAMILIES_WITH_BODY, complete
from harness.experiment.space_conditions import possible_values
from harness.records import Params, Question
from harness.study.state import StudyState
from harness.sweeping.workers import Workers

FETCH_SECONDS = 600.0
"""How long a download may take."""
SHOWN = 12
"""Digits of a digest that a message tells."""


def check_weights(
    experiment: Experiment, state: StudyState, workers: Workers, unless: Callable[[], bool]
) -> dict[str, str]:
    """Let a worker find the weights of every pretrained network in the space, before anything is begun.

    Args:
        experiment: its space says which networks there are.
        state: the study so far.
        workers: one of which is asked.
        unless: when it turns true, or raises, nobody waits any more.

    Returns:
        SHA-256 (hex) of the weights of every network that the study uses or has used, by the value of
        `backbone`.

    Raises:
        PretrainedError: weights are not to be had.
        StudyError: they are not those that the study began with.
        EngineError: workers cannot be started.
    """
    ask = partial(workers.ask, seconds=FETCH_SECONDS, unless=unless)
    confirmed = experiment.confirmation
    earlier = confirmed.weights if confirmed else {}
    name = state.name if state.has_begun else confirmed.study if confirmed else ""
    known = dict(state.started.weights if state.has_begun else earlier)
    for params in _networks(experiment):
        answer = ask(Question(name="weights", arguments={"params": params}))
        if answer is None:  # there was no time
            continue
        if answer.error is not None:
            raise PretrainedError(answer.error)
        backbone = str(params["backbone"])
        if known.setdefault(backbone, answer.said) != answer.said:
            raise StudyError(
                f"The weights of the backbone {backbone} are not those that the study {name} began "
                f"with (the SHA-256 was {known[backbone][:SHOWN]}…, and is {answer.said[:SHOWN]}…), so its "
                "trials could not go on from them, nor be compared. Put the former file back, or start a "
                "new study."
            )
    return known


def _networks(experiment: Experiment) -> list[Params]:
    """A configuration for each of the space's pretrained networks."""
    space, defaults = experiment.space.parameters, complete({})
    families = possible_values(space["family"]) if "family" in space else None
    wanted = set(FAMILIES_WITH_BODY) & (families or {defaults["family"]})
    backbones = possible_values(space["backbone"]) if "backbone" in space else None
    return [
        complete({"family": family, "backbone": backbone})
        for family in sorted(map(str, wanted))
        for backbone in sorted(map(str, backbones or {defaults["backbone"]}))
    ]
