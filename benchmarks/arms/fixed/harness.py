"""`harness sweep` over the list: every configuration is one to start with, and trained to the end."""

from __future__ import annotations

from benchmarks.arms.harness_sweep import sweep, tell_log
from benchmarks.arms.job import read_job
from harness.experiment.parameters import applies


def main(*options: str) -> None:
    """Sweep over the job's configurations, with these options of `harness sweep`."""
    job = read_job()
    used = [name for name in job.configurations[0] if any(applies(name, one) for one in job.configurations)]
    # What is everywhere the same, and what differs, as the values that occur.
    values = {name: list(dict.fromkeys(one[name] for one in job.configurations)) for name in used}
    code = sweep(
        job,
        *options,
        space={name: found if len(found) > 1 else found[0] for name, found in values.items()},
        search={"trials": len(job.configurations), "sampler": "random"},
        scheduler={"kind": "none"},
        start_with=[
            {name: one[name] for name, found in values.items() if len(found) > 1}
            for one in job.configurations
        ],
    )
    tell_log()
    raise SystemExit(code)


if __name__ == "__main__":
    main()
