"""What each worker of a Ray cluster has, and whether there is a node that has room for one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.engine.kind import EngineSettings, Resources, Share
from harness.engine.memory import GIB, training_memory
from harness.gpus import gpu_memory, visible_gpus
from harness.machine import usable_cores


def threads_of(settings: EngineSettings) -> int:
    """Threads that compute one operation in each worker: its whole cores, at least one."""
    return settings.threads or max(1, int(settings.resources.cpus))


def side_by_side(settings: EngineSettings) -> int:
    """How many workers share a node, if nodes are like this machine."""
    asked = settings.resources
    most = usable_cores() / asked.cpus
    if asked.gpus and visible_gpus():
        most = min(most, len(visible_gpus()) / asked.gpus)
    return max(1, min(settings.workers, int(most)))


def share(settings: EngineSettings) -> Share:
    """What each worker has, if nodes are like this machine."""
    asked = settings.resources
    device = gpu_memory() if asked.gpus else None
    if device is not None:
        return Share(threads_of(settings), int(device * min(1.0, asked.gpus)))
    memory = training_memory(side_by_side(settings), 0, settings.worker_memory)
    if asked.memory is not None:
        memory = min(memory, int(asked.memory * GIB))
    return Share(threads_of(settings), memory)


def without_room(asked: Resources, nodes: Iterable[dict[str, Any]]) -> str | None:
    """What to say where no node could host a worker, however idle it is; None if one could.

    Args:
        asked: what a worker needs.
        nodes: as Ray describes them.
    """
    wanted = {"CPU": asked.cpus, "GPU": asked.gpus, "memory": (asked.memory or 0.0) * GIB}
    for node in nodes:
        room = node["Resources"]
        if node["Alive"] and all(room.get(name, 0.0) >= least for name, least in wanted.items()):
            return None
    text = f"{asked.cpus:g} CPUs, {asked.gpus:g} GPUs"
    text += "" if asked.memory is None else f", {asked.memory:g} GiB"
    return (
        f"No node of the Ray cluster has what a worker asks for ({text}: the section `resources` of the "
        "experiment)."
    )


def idle_gpus(asked: Resources, nodes: Iterable[dict[str, Any]]) -> str | None:
    """What to say where there are GPUs that no worker asks for; None if there are none."""
    if asked.gpus or not any(node["Alive"] and node["Resources"].get("GPU", 0.0) for node in nodes):
        return None
    return "The Ray cluster has GPUs, but resources.gpus is 0, so that its workers train on CPUs."
