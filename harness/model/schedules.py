"""Learning-rate schedules as plain arrays: one value for every step of an epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.records import Annealing, Params

ONE_CYCLE_RISE = 0.3


def learning_rates(
    params: Params,
    epoch: int,
    max_epochs: int,
    steps: int,
    cycles: Sequence[int] = (),
    annealing: Annealing | None = None,
) -> npt.NDArray[np.float32]:
    """The learning rate at every step of one epoch.

    Args:
        params: `learning_rate` (the peak), `schedule` and `warmup` (the share of all steps over which
            the rate rises linearly from 0). `step` divides by 10 after a half and again after three
            quarters of the steps; `cosine` falls to 0 (Loshchilov & Hutter 2017, arXiv:1608.03983);
            `one_cycle` rises over the first 30 %, or the warm-up if that is given, and falls linearly
            to 0 (after Smith & Topin 2018, arXiv:1708.07120); `cycle_per_rung` is a row of such cycles,
            restarted as in SGDR (arXiv:1608.03983): one ends at each epoch of `cycles`, and the warm-up is
            the share of each.
        epoch: 1-based.
        max_epochs: the epoch at which the schedule ends.
        steps: steps in an epoch.
        cycles: the epochs at which the cycles of `cycle_per_rung` end, ascending, the last one
            `max_epochs`; empty: there is one cycle. Other schedules do not look at it.
        annealing: how the training ends early. What `cosine` and `one_cycle` have left of their way is gone
            in its epochs; of `cycle_per_rung` it is a cycle of its own; `constant` and `step`, which do not
            end at 0, fall linearly to it from what they have come to, after what is left of the warm-up.

    Returns:
        float32 (steps,).
    """
    schedule = str(params["schedule"])
    annealed = annealing if annealing is not None and epoch > annealing.start else None
    if schedule == "cycle_per_rung":
        before = max((end for end in cycles if end < epoch), default=0)
        end = min((end for end in cycles if end >= epoch), default=max_epochs)
        if annealed:
            before, end, annealed = annealed.start, annealed.stop, None
        max_epochs, epoch = end - before, epoch - before
    done = np.arange(steps, dtype=np.float64) + (epoch - 1) * steps
    total = max_epochs * steps
    warmup = float(params["warmup"])
    if schedule in ("one_cycle", "cycle_per_rung") and warmup == 0:
        warmup = ONE_CYCLE_RISE
    warmup_steps = warmup * total
    if annealed is None:
        factor = _after_warmup(schedule, done, warmup_steps, total)
    else:  # what is left of the way is gone in fewer steps
        start = annealed.start * steps
        done = start + (done - start) * (total - start) / ((annealed.stop - annealed.start) * steps)
        factor = _after_warmup(schedule, done, warmup_steps, total)
        if schedule in ("constant", "step"):
            turn = max(start, warmup_steps)
            present = _after_warmup(schedule, np.array([turn]), warmup_steps, total)
            factor = present * (total - done) / (total - turn)
    if warmup_steps > 0:
        factor = np.where(done < warmup_steps, (done + 1) / (warmup_steps + 1), factor)
    return (float(params["learning_rate"]) * factor).astype(np.float32)


def _after_warmup(
    schedule: str, done: npt.NDArray[np.float64], warmup_steps: float, total: int
) -> npt.NDArray[np.float64]:
    """The rate over its peak after so many of all steps (n,), where they are beyond the warm-up."""
    progress = np.clip((done - warmup_steps) / max(total - warmup_steps, 1), 0, 1)
    if schedule == "cosine":
        return np.asarray(0.5 * (1 + np.cos(np.pi * progress)))
    if schedule in ("one_cycle", "cycle_per_rung"):
        return np.asarray(1 - progress)
    if schedule == "step":
        return np.where(done < total / 2, 1.0, np.where(done < 3 * total / 4, 0.1, 0.01))
    return np.ones(len(done))
