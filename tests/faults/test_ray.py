"""A sweep on a real Ray cluster of several nodes on this machine, which come and go while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from harness.engine.ray_connection import ray_module
from harness.machine import usable_cores
from tests.faults.support import events, harness, leaderboard, proven, running, tiny, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

TRIALS = 12
LENGTH = ["--trials", str(TRIALS), "--epochs", "60"]


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without room for workers."""
    ray_module()
    from ray.cluster_utils import Cluster

    started = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, "num_gpus": 0}
    )
    try:
        yield started
    finally:
        started.shutdown()


def add_node(cluster: Any) -> Any:
    """A node with room for one worker."""
    return cluster.add_node(num_cpus=1, num_gpus=0, include_dashboard=False)


def kill(node: Any) -> None:
    """All processes of a node, as when its machine loses power."""
    (raylet,) = node.all_processes["raylet"]
    daemon = psutil.Process(raylet.process.pid)
    for process in [daemon, *daemon.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def training() -> set[int]:
    """The trials that have begun and not ended, and have trained an epoch."""
    told = events("s")
    begun = {event["trial"] for event in told if event["kind"] == "epoch_ended"}
    return begun - {event["trial"] for event in told if event["kind"] == "segment_ended"}


def test_nodes_come_and_go_and_the_study_is_that_of_one_machine(cluster: Any) -> None:
    """Exactly so many trials, nothing lost or doubled, the same numbers to the last bit."""
    # As many workers as cores: each has one thread, as on the cluster.
    harness("sweep", tiny(), "--study", "here", *LENGTH, "--workers", str(usable_cores()))
    first = add_node(cluster)
    add_node(cluster)
    arguments = ["--engine", "ray", "--ray-address", cluster.address, "--workers", "4"]
    with running("sweep", tiny(), "--study", "s", *LENGTH, *arguments) as sweep:
        until(lambda: len(training()) == 2, sweep)
        told = len(events("s"))
        kill(first)
        add_node(cluster)
        assert sweep.wait() == 0
    state = proven("s", TRIALS)
    assert "was taken away" in sweep.stderr
    assert "goes on from its last checkpoint" in sweep.stderr
    assert sum(trial.attempts for trial in state.trials.values()) == TRIALS + 1
    later = [event["worker"] for event in events("s")[told:] if event["kind"] == "segment_started"]
    assert len(set(later)) == 2, "the node that was added has trained, too"
    assert leaderboard("s") == leaderboard("here")
