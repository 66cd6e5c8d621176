"""`harness sweep --timeout` with its defaults, TPE and ASHA with promotion, until the benchmark ends it."""

from __future__ import annotations

import signal

from benchmarks.arms.harness_sweep import sweep, tell_log
from benchmarks.arms.job import read_job
from benchmarks.arms.searching import MIN_EPOCHS, REDUCTION

ENDLESS = 100_000
START_SECONDS = 5.0
"""Of the time, for what is imported before the sweep's own clock starts."""
INTERRUPTED = 130


def main() -> None:
    # The sweep ends itself on the same signal; what it logged is told then.
    signal.signal(signal.SIGINT, lambda *_: None)
    job = read_job()
    code = sweep(
        job,
        space=job.space,
        search={"trials": ENDLESS} | ({"timeout": job.seconds - START_SECONDS} if job.seconds else {}),
        scheduler={"kind": "asha", "min_epochs": MIN_EPOCHS, "reduction": REDUCTION},
    )
    tell_log()
    raise SystemExit(0 if code == INTERRUPTED else code)


if __name__ == "__main__":
    main()
