"""What differs between the machine, the versions and the code of two sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.records import StudyStarted


@dataclass(frozen=True, slots=True)
class Changed:
    """Something that a training's numbers may depend on, and that is not as it was."""

    what: str
    recorded: str
    now: str


def all_changes(recorded: Sequence[StudyStarted], now: Sequence[StudyStarted]) -> tuple[Changed, ...]:
    """What differs between recorded sessions and those that took their place: each has its number of threads.

    Args:
        recorded: sessions that trained the trial, at least one.
        now: those that trained it again, at least one.
    """
    by_threads = {one.environment.threads: one for one in now if one.environment is not None}
    found: dict[Changed, None] = {}
    for session in recorded:
        threads = session.environment.threads if session.environment is not None else 0
        found |= dict.fromkeys(_changes(session, by_threads.get(threads, now[-1])))
    return tuple(found)


def device_changes(recorded: Sequence[str], now: Sequence[str]) -> tuple[Changed, ...]:
    """What differs between the GPUs that trained a trial, as far as they were recorded."""
    if not recorded or set(recorded) == set(now):
        return ()
    return (Changed("device", "; ".join(recorded), "; ".join(now) or "a processor"),)


def _changes(recorded: StudyStarted, now: StudyStarted) -> tuple[Changed, ...]:
    """What differs, as far as the recorded session tells of it; how many workers there are is no matter."""
    before, after = _described(recorded), _described(now)
    names = [*before, *(name for name in after if name not in before)]
    told_of = recorded.environment is not None
    return tuple(
        Changed(name, before.get(name, "none"), after.get(name, "none"))
        for name in names
        if before.get(name, "none") != after.get(name, "none") and (told_of or name in before)
    )


def _described(session: StudyStarted) -> dict[str, str]:
    """All that a session tells of what its numbers depend on, beside experiment and data, by what it is."""
    told = {
        "system": str(session.host.get("system", "")),
        "python": str(session.host.get("python", "")),
        **session.versions,
        "commit": session.git_commit or "none",
    }
    found = session.environment
    if found is None:
        return told
    return {
        **told,
        "uncommitted changes": session.uncommitted or "none",
        "processor": found.processor,
        "instruction sets": " ".join(found.instruction_sets) or "not known",
        "cores": str(found.cores),
        "GPUs": ", ".join(found.gpus) or "none",
        "GPU driver": found.gpu_driver or "none",
        "threads": str(found.threads),
        "operations at a time": str(found.threads_between),
        **found.variables,
        **{f"code of {name}": sha256 for name, sha256 in found.code.items()},
    }
