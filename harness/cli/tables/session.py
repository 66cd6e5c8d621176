"""What a session was run with: machine, threads, versions, commit, digests."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.cli.tables.lines import print_pairs

if TYPE_CHECKING:
    from harness.records import StudyStarted

SHOWN = 12
"""Digits of a digest."""


def session_dict(session: StudyStarted) -> dict[str, Any]:
    """All of it, for programs."""
    return {
        "session": session.session,
        "precision": _precision(session),
        "versions": session.versions,
        "host": session.host,
        "environment": asdict(session.environment) if session.environment else None,
        "git_commit": session.git_commit,
        "uncommitted": session.uncommitted,
        "dataset_digest": session.dataset.digest,
        "split_digests": session.dataset.split_digests,
        "weights": session.weights,
    }


def print_session(session: StudyStarted) -> None:
    """Print it in a few lines."""
    lines = {}
    if (found := session.environment) is not None:
        lines["processor"] = (
            f"{found.processor} ({' '.join(found.instruction_sets) or 'instructions unknown'})"
        )
        if found.gpus:
            lines["GPUs"] = f"{', '.join(found.gpus)} (driver {found.gpu_driver})"
        each = "one worker" if found.workers == 1 else f"each of {found.workers} workers"
        lines["threads"] = f"{found.threads} in {each}"
    lines["precision"] = _precision(session)
    if session.versions:
        lines["versions"] = ", ".join(f"{name} {version}" for name, version in session.versions.items())
    if session.git_commit:
        changed = len(session.uncommitted.splitlines())
        lines["commit"] = session.git_commit + (f" (a diff of {changed:,} lines)" if changed else "")
    digests = {"digest": session.dataset.digest, **session.dataset.split_digests}
    lines["data"] = ", ".join(f"{name} {sha256[:SHOWN]}…" for name, sha256 in digests.items())
    print_pairs(lines)


def _precision(session: StudyStarted) -> str:
    return str(session.experiment.get("training", {}).get("precision") or "float32")
