"""Sweeps on a Ray cluster of hosts of their own, which share no folder and whose cables can be pulled."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.machine import usable_cores
from tests.faults.hosts import CLIENT_PORT, Host, Network, network
from tests.faults.support import LONG, TINY, Running, events, harness, leaderboard, running, tiny, until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not LONG, reason="in the long suite: HARNESS_FAULTS=long"),
]

PATIENCE = 600.0
AWAY = 20.0
"""Seconds for which a cable is pulled that is to be put back before Ray gives the host up."""
TRIALS = 12
LENGTH = ["--trials", str(TRIALS), "--epochs", "250"]
# As many local workers as cores: each has one thread, as on the cluster.
ALONE = ["--workers", str(usable_cores())]

HEADS = """\
name: heads
dataset: {source: pictures, image_size: 40}
training: {epochs: 60, precision: float32}
scheduler: {kind: none}
search: {sampler: random}
space:
  family: pretrained
  backbone: efficientnet_lite0
  image_size: 64
  views: 2
  dropout: {type: float, low: 0.0, high: 0.3}
"""

OWN = """\
name: own
dataset: {source: digits, limit_train: 300}
model: nets.mine:build
training: {epochs: 3, precision: float32}
scheduler: {kind: none}
search: {sampler: random}
space:
  filters: {type: int, low: 4, high: 8}
"""
OWN_FILES = {
    "nets/__init__.py": "",
    "nets/mine.py": (
        "import keras\n"
        "from nets.layers import body\n"
        "def build(params, image_shape, num_classes):\n"
        "    inputs = keras.Input(image_shape)\n"
        "    x = body(inputs, params['filters'])\n"
        "    return keras.Model(inputs, keras.layers.Dense(num_classes)(keras.layers.Flatten()(x)))\n"
    ),
    "nets/layers.py": (
        "import keras\n"
        "def body(x, filters):\n"
        "    return keras.layers.Conv2D(filters, 3, activation='relu')(x)\n"
    ),
}


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Network]:
    with network(tmp_path / "hosts") as made:
        yield made


def desk(switch: Network, mlflow_tables: Path, files: dict[str, str]) -> Host:
    """A host where commands are typed, with files in its working directory."""
    host = switch.add()
    shutil.copy(mlflow_tables, host.folder / "cache")
    for name, text in files.items():
        target = host.folder / "work" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return host


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The leaderboard of `tiny.yaml` as this machine trains it."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HARNESS_CACHE", str(folder / "cache"))
        patch.setenv("HARNESS_HOME", str(folder / "home"))
        harness("sweep", tiny(), "--study", "here", *LENGTH, *ALONE, timeout=PATIENCE)
        return leaderboard("here")


@pytest.fixture
def home(switch: Network, mlflow_tables: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """The desk, whose studies this test looks at from outside."""
    host = desk(switch, mlflow_tables, {"tiny.yaml": TINY, "heads.yaml": HEADS, "own.yaml": OWN, **OWN_FILES})
    look_at(host, monkeypatch)
    return host


def look_at(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_HOME", str(host.folder / "home"))


def far(switch: Network, head: str, cpus: int = 1) -> Host:
    """A node with room for so many workers."""
    host = switch.add()
    host.join(head, cpus)
    return host


def on(host: Host, *arguments: str) -> subprocess.CompletedProcess[str]:
    return harness(*arguments, prefix=host.prefix, timeout=PATIENCE)


def ray(address: str, workers: int = 3) -> list[str]:
    return ["--engine", "ray", "--ray-address", address, "--workers", str(workers)]


def training_on(sweep: Running, host: Host) -> set[int]:
    """The trials that a host's workers are training, and have trained an epoch of."""
    mine = {
        int(line.split()[1])
        for line in sweep.stderr.splitlines()
        if line.startswith("Worker ") and f" runs on {host.name}," in line
    }
    held: dict[int, int] = {}
    begun: set[int] = set()
    for event in events("s"):
        if event["kind"] == "segment_started":
            held[event["trial"]] = event["worker"]
            begun.discard(event["trial"])
        elif event["kind"] == "epoch_ended":
            begun.add(event["trial"])
        elif event["kind"] in ("segment_ended", "trial_ended"):
            held.pop(event["trial"], None)
    return {trial for trial, worker in held.items() if worker in mine and trial in begun}


def whole(host: Host, trials: int, study: str = "s") -> list[dict[str, Any]]:
    """The study's events: V1 to V7 hold, and so many trials have ended, each once."""
    said = on(host, "verify", study).stdout
    assert said.count("  ok  ") == 7, said
    told = events(study)
    assert sorted(event["trial"] for event in told if event["kind"] == "trial_ended") == list(range(trials))
    assert sum(event["kind"] == "trial_started" for event in told) == trials
    assert [event["complete"] for event in told if event["kind"] == "study_ended"][-1]
    return told


def attempts(told: list[dict[str, Any]]) -> int:
    return sum(event["kind"] == "segment_started" for event in told)


def test_a_host_is_killed_another_joins_and_one_is_cut_off_for_a_while(
    switch: Network, home: Host, alone: list[dict[str, Any]]
) -> None:
    """Nothing is lost or doubled, and the numbers are those of one machine."""
    head = home.start_head()
    first, second = far(switch, head), far(switch, head)
    third = switch.add()
    with running("sweep", "tiny.yaml", "--study", "s", *LENGTH, *ray(head), prefix=home.prefix) as sweep:
        until(lambda: training_on(sweep, first) and training_on(sweep, second), sweep, PATIENCE)
        first.kill()
        third.join(head)
        until(lambda: training_on(sweep, third) and training_on(sweep, second), sweep, PATIENCE)
        second.cut()
        time.sleep(AWAY)
        second.mend()
        assert sweep.wait(PATIENCE) == 0, sweep.stderr
    told = whole(home, TRIALS)
    assert f"on {first.name} was taken away" in sweep.stderr
    assert "(raylet)" not in sweep.stderr
    lost = sweep.stderr.count("goes on from its last checkpoint")
    assert 1 <= lost <= 2, "the killed one, and the one that was cut off if Ray could not wait"
    assert attempts(told) == TRIALS + lost
    assert leaderboard("s", home.prefix) == alone
    for host in (second, third):
        assert not (host.folder / "home" / "studies").exists()
        assert list((host.folder / "cache" / "nodes" / "data").glob("*/manifest.json"))


def test_features_cross_the_network_and_a_host_that_was_given_up_doubles_nothing(
    switch: Network, home: Host
) -> None:
    """It trains on behind the cut, comes back after others have taken over, and joins again."""
    rng = np.random.default_rng(0)
    for label, colour in enumerate(("red", "green", "blue")):
        folder = home.folder / "work" / "pictures" / colour
        folder.mkdir(parents=True)
        for number in range(40):
            pixels = rng.integers(0, 120, (40, 36, 3), np.uint8)
            pixels[..., label] += 100
            Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    length = ["--trials", "40"]
    on(home, "sweep", "heads.yaml", "--study", "here", *length, *ALONE)
    head = home.start_head()
    first, second = far(switch, head), far(switch, head)
    with running("sweep", "heads.yaml", "--study", "s", *length, *ray(head), prefix=home.prefix) as sweep:
        until(lambda: training_on(sweep, first) and training_on(sweep, second), sweep, PATIENCE)
        first.cut()
        until(lambda: f"on {first.name} was taken away" in sweep.stderr, sweep, PATIENCE)
        first.mend()
        assert sweep.wait(PATIENCE) == 0, sweep.stderr
    told = whole(home, 40)
    assert attempts(told) == 40 + sweep.stderr.count("goes on from its last checkpoint")
    assert not any(event["computed"] for event in told if event["kind"] == "features_ready")
    assert leaderboard("s", home.prefix) == leaderboard("here", home.prefix)
    for host in (first, second):
        assert list((host.folder / "cache" / "nodes" / "data").glob("*/features/**/*.npy"))


def test_a_coordinator_that_dies_with_its_machine_is_followed_by_one_elsewhere(
    switch: Network,
    home: Host,
    alone: list[dict[str, Any]],
    mlflow_tables: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither is a node: they use the Ray Client. The study's folder is all that the second one gets."""
    cluster = switch.add()
    head = cluster.start_head()
    address = f"ray://{cluster.address}:{CLIENT_PORT}"
    node = far(switch, head, cpus=2)
    with running("sweep", "tiny.yaml", "--study", "s", *LENGTH, *ray(address), prefix=home.prefix) as sweep:
        until(lambda: len(training_on(sweep, node)) == 2, sweep, PATIENCE)
        home.cut()
        home.kill()
        sweep.wait(PATIENCE)
    before = events("s")
    other = desk(switch, mlflow_tables, {})
    shutil.copytree(home.folder / "home", other.folder / "home", dirs_exist_ok=True)
    look_at(other, monkeypatch)
    said = on(other, "resume", "s", *ray(address)).stderr
    told = whole(other, TRIALS)
    assert told[: len(before)] == before, "what was durable has stayed"
    assert attempts(told) <= TRIALS + 2, said
    assert leaderboard("s", other.prefix) == alone


@pytest.mark.parametrize("client", [False, True])
def test_a_sweep_without_its_clusters_head_loses_nothing(
    switch: Network, home: Host, alone: list[dict[str, Any]], client: bool
) -> None:
    """Through the Ray Client it ends with a sentence, and goes on on another cluster. In the cluster, workers
    train on for some time, which may be all that they need."""
    cluster = switch.add()
    head = cluster.start_head()
    node = far(switch, head, cpus=2)
    if not client:
        home.join(head, cpus=0)
    address = f"ray://{cluster.address}:{CLIENT_PORT}" if client else head
    with running("sweep", "tiny.yaml", "--study", "s", *LENGTH, *ray(address), prefix=home.prefix) as sweep:
        until(lambda: len(training_on(sweep, node)) == 2, sweep, PATIENCE)
        cluster.kill()
        code = sweep.wait(PATIENCE)
    assert "Traceback" not in sweep.stderr
    if code or client:
        assert code == 1, sweep.stderr
        assert "harness resume" in sweep.stderr
        other = switch.add()
        head = other.start_head()
        far(switch, head, cpus=2)
        on(home, "resume", "s", *ray(f"ray://{other.address}:{CLIENT_PORT}"))
    told = whole(home, TRIALS)
    assert attempts(told) <= TRIALS + 2
    assert leaderboard("s", home.prefix) == alone


def test_a_network_of_ones_own_reaches_hosts_that_do_not_have_it(switch: Network, home: Host) -> None:
    on(home, "sweep", "own.yaml", "--study", "here", "--trials", "4", *ALONE)
    head = home.start_head()
    node = far(switch, head)
    on(home, "sweep", "own.yaml", "--study", "s", "--trials", "4", *ray(head))
    whole(home, 4)
    assert leaderboard("s", home.prefix) == leaderboard("here", home.prefix)
    sent = node.folder / "cache" / "nodes" / "code"
    assert {file.name for file in sent.rglob("*.py")} == {"__init__.py", "mine.py", "layers.py"}
