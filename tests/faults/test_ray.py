"""A sweep on a real Ray cluster of several nodes on this machine, which are killed and added while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from harness.engine import workers_of
from harness.engine.ray_connection import ray_module
from harness.machine import usable_cores
from harness.paths import StudyPaths
from tests.faults.support import events, harness, leaderboard, proven, running, seen, tiny, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

TRIALS = 8
EPOCHS = ["--trials", str(TRIALS), "--epochs", "20"]


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


def test_nodes_come_and_go_and_the_study_is_that_of_one_machine(cluster: Any) -> None:
    """Exactly so many trials, nothing lost or doubled, the same numbers to the last bit."""
    # As many workers as cores: each has one thread, as on the cluster.
    harness("sweep", tiny(), "--study", "here", *EPOCHS, "--workers", str(usable_cores()))
    first = add_node(cluster)
    add_node(cluster)
    arguments = ["--engine", "ray", "--ray-address", cluster.address, "--workers", "4"]
    with running("sweep", tiny(), "--study", "s", *EPOCHS, *arguments) as sweep:
        until(seen("s", "epoch_ended", epoch=5), sweep)
        until(lambda: len(workers_of(StudyPaths.of("s"))) == 2, sweep)
        until(seen("s", "epoch_ended", trial=1, epoch=5), sweep)
        kill(first)
        add_node(cluster)
        assert sweep.wait() == 0
    state = proven("s", TRIALS)
    assert "was taken away" in sweep.stderr
    assert "goes on from its last checkpoint" in sweep.stderr
    assert sum(trial.attempts for trial in state.trials.values()) == TRIALS + 1
    assert {event["worker"] for event in events("s") if event["kind"] == "segment_started"} > {0, 1}
    assert leaderboard("s") == leaderboard("here")
