"""Learning-rate schedules as plain arrays: one value for every step of an epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.records import Params

ONE_CYCLE_RISE = 0.3


def learning_rates(
    params: Params, epoch: int, max_epochs: int, steps: int, cycles: Sequence[int] = ()
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

    Returns:
        float32 (steps,).
    """
    schedule = params["schedule"]
    if schedule == "cycle_per_rung":
        before = max((end for end in cycles if end < epoch), default=0)
        max_epochs = min((end for end in cycles if end >= epoch), default=max_epochs) - before
        epoch -= before
    done = np.arange(steps) + (epoch - 1) * steps
    total = max_epochs * steps
    warmup = float(params["warmup"])
    if schedule in ("one_cycle", "cycle_per_rung") and warmup == 0:
        warmup = ONE_CYCLE_RISE
    warmup_steps = warmup * total
    progress = np.clip((done - warmup_steps) / max(total - warmup_steps, 1), 0, 1)
    factor = np.ones(steps)
    if schedule == "cosine":
        factor = 0.5 * (1 + np.cos(np.pi * progress))
    elif schedule in ("one_cycle", "cycle_per_rung"):
        factor = 1 - progress
    elif schedule == "step":
        factor = np.where(done < total / 2, 1.0, np.where(done < 3 * total / 4, 0.1, 0.01))
    if warmup_steps > 0:
        factor = np.where(done < warmup_steps, (done + 1) / (warmup_steps + 1), factor)
    return (float(params["learning_rate"]) * factor).astype(np.float32)
