"""Learning-rate schedules as plain arrays: one value for every step of an epoch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harness.records import Params


def learning_rates(params: Params, epoch: int, max_epochs: int, steps: int) -> npt.NDArray[np.float32]:
    """The learning rate at every step of one epoch.

    Args:
        params: `learning_rate` (the peak), `schedule` (`constant` or `cosine`) and `warmup` (the
            share of all steps over which the rate rises linearly from 0).
        epoch: 1-based.
        max_epochs: the epoch at which the schedule ends.
        steps: steps in an epoch.

    Returns:
        float32 (steps,).
    """
    done = np.arange(steps) + (epoch - 1) * steps
    total = max_epochs * steps
    warmup_steps = float(params["warmup"]) * total
    factor = np.ones(steps)
    if params["schedule"] == "cosine":
        progress = (done - warmup_steps) / max(total - warmup_steps, 1)
        factor = 0.5 * (1 + np.cos(np.pi * np.clip(progress, 0, 1)))
    if warmup_steps > 0:
        factor = np.where(done < warmup_steps, (done + 1) / (warmup_steps + 1), factor)
    return (float(params["learning_rate"]) * factor).astype(np.float32)
