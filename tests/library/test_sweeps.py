"""Sweeps from a script, a thread, a coroutine and a notebook."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from jupyter_client.manager import KernelManager, start_new_kernel
from nbclient import NotebookClient
from PIL import Image

import harness
from harness.deploy.checksums import verify_bundle
from harness.engine import default_workers
from harness.experiment.rates import DEFAULT_RATES
from harness.paths import StudyPaths
from harness.records import Answer
from harness.study.event_log import read
from harness.sweeping.worker_rates import measured_rates
from tests.conftest import keep_tables

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
LONG = (
    'harness.load("quickstart", trials=60, epochs=60, '
    'set={"scheduler.kind": "none", "training.precision": "float32"})'
)
"""More than any test waits for."""


@pytest.fixture(autouse=True)
def tables(own_workplace: Path, mlflow_tables: Path) -> None:
    keep_tables(mlflow_tables)


@pytest.fixture
def own_jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter writes what it has to write here, and finds no settings."""
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        folder = tmp_path / "jupyter" / name
        folder.mkdir(parents=True)
        monkeypatch.setenv(name, str(folder))


def tiny() -> harness.Experiment:
    return harness.load("quickstart", trials=2, epochs=1, set={"training.precision": "float32"})


def script(text: str) -> subprocess.CompletedProcess[str]:
    Path("script.py").write_text(text)
    return subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, timeout=300, check=False
    )


def begun(name: str) -> None:
    """Wait until a first epoch of the study has ended."""
    log = StudyPaths.of(name).log
    deadline = time.monotonic() + 120
    while not (log.exists() and any(one.event.kind == "epoch_ended" for one in read(log))):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_script_from_experiment_to_export() -> None:
    done = script(
        "import harness, pandas, numpy\n"
        "experiment = harness.load('quickstart', trials=2, epochs=1, set={'space.depth': [1, 2]})\n"
        "study = harness.sweep(experiment, name='night')\n"
        "assert study.complete and study.name == 'night' and len(study.trials) == 2\n"
        "opened = harness.open_study('night')\n"
        "board = opened.leaderboard()\n"
        "assert isinstance(board, pandas.DataFrame) and len(board) == 2\n"
        "assert len(opened.leaderboard(top=1)) == 1\n"
        "best = opened.best\n"
        "assert best.score == board.score.max() == best.epochs.val_accuracy.iloc[-1]\n"
        "assert list(best.epochs.index) == [1] and best.params['depth'] in (1, 2)\n"
        "model = best.load()\n"
        "assert isinstance(model, __import__('keras').Model)\n"
        "assert model(numpy.zeros((2, 8, 8, 1), 'float32')).shape == (2, len(study.classes))\n"
        "bundle = best.export('exports/night', formats=['saved_model'])\n"
        "assert bundle.folder == __import__('pathlib').Path('exports/night').absolute()\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr == ""
    assert verify_bundle(Path("exports/night")) == []


def test_a_script_without_a_guard_sweeps_a_folder_that_processes_decode() -> None:
    """They would import the script anew, and each of them would begin a sweep."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        Path("pets", name).mkdir(parents=True)
        for number in range(600):
            Image.fromarray(rng.integers(0, 255, (6, 6), np.uint8)).save(f"pets/{name}/{number}.png")
    done = script(
        "import harness\n"
        "print('imported')\n"
        "more = {'dataset': 'pets', 'set': {'training.precision': 'float32'}}\n"
        "study = harness.sweep(harness.load('quickstart', trials=1, epochs=1, **more), name='s')\n"
        "print(study.classes, __file__.endswith('script.py'))\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "imported\n('cat', 'dog') True\n"


def test_a_study_on_a_folder_goes_on_with_the_experiment_that_it_began_with() -> None:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        Path("pets", name).mkdir(parents=True)
        for number in range(20):
            Image.fromarray(rng.integers(0, 255, (40, 40), np.uint8)).save(f"pets/{name}/{number}.png")
    options: dict[str, Any] = {
        "epochs": 1,
        "timeout": "none",
        "set": {"scheduler.kind": "none", "training.precision": "float32"},
    }
    begun = harness.sweep(harness.load("pets", trials=1, **options), name="s")
    # By now the machine turns out to be slow, for which smaller images fit.
    slow = Answer(question="rates", found=asdict(DEFAULT_RATES["float32"].times(1e5)))
    assert measured_rates(default_workers(50), "float32", lambda _, __: slow)
    later = harness.load("pets", trials=2, **options)
    assert later.dataset.image_size != begun.experiment.dataset.image_size
    study = harness.sweep(later, name="s")
    assert len(study.trials) == 2
    assert study.experiment.dataset == begun.experiment.dataset
    for number in range(2):
        shutil.copytree("pets", f"others/{number}")
    with pytest.raises(harness.HarnessError, match="searches on"):
        harness.sweep(harness.load("others"), name="s")


def test_in_a_thread_until_it_is_told_to_stop() -> None:
    stop = threading.Event()
    studies: list[harness.Study] = []
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    def run() -> None:
        studies.append(harness.sweep(eval(LONG), name="long", stop=stop))

    thread = threading.Thread(target=run)
    thread.start()
    begun("long")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
    stop.set()
    thread.join(120)
    (study,) = studies
    assert not study.complete
    assert study.trials
    assert len(study.trials) < 60
    assert [one.epochs for one in study.trials if one.state == "running"] == []


def test_beside_an_event_loop() -> None:
    async def both() -> tuple[harness.Study, int]:
        beats = 0
        sweeping = asyncio.create_task(asyncio.to_thread(harness.sweep, tiny(), name="beside"))
        while not sweeping.done():
            await asyncio.sleep(0.05)
            beats += 1
        return sweeping.result(), beats

    study, beats = asyncio.run(both())
    assert study.complete
    assert beats > 10


def test_inside_an_event_loop() -> None:
    async def inside() -> harness.Study:
        return harness.sweep(tiny(), name="inside")

    assert asyncio.run(inside()).complete


def test_a_sweep_without_success_is_an_error() -> None:
    Path("broken.yaml").write_text("name: broken\nmodel: nowhere:build\nspace: {depth: 1}\n")
    with pytest.raises(harness.HarnessError, match="nowhere"):
        harness.sweep(harness.load("broken.yaml", trials=1, epochs=1), name="broken")
    study = harness.open_study("broken")
    with pytest.raises(harness.HarnessError, match="No trial of the study broken is complete"):
        _ = study.best
    (trial,) = study.trials
    assert trial.state == "failed"
    with pytest.raises(harness.HarnessError, match="has no model"):
        trial.load()


def test_an_interrupted_script_leaves_a_study_that_goes_on() -> None:
    Path("script.py").write_text(
        "import signal\nimport harness\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # tests may run where it is ignored
        f"try:\n    harness.sweep({LONG}, name='cut')\n"
        "except KeyboardInterrupt:\n    print('interrupted')\n"
    )
    with subprocess.Popen([sys.executable, "script.py"], stdout=subprocess.PIPE, text=True) as running:
        begun("cut")
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=120)
    assert running.returncode == 0
    assert said == "interrupted\n"
    study = harness.open_study("cut")
    assert not study.complete
    assert all(one.state != "running" for one in study.trials)
    reached = {one.number: len(one.epochs) for one in study.trials}
    assert sum(reached.values()) >= 1
    experiment = harness.load("quickstart", trials=len(reached), epochs=60, set={"scheduler.kind": "none"},
                              max_epochs_total=sum(reached.values()) + 1)  # fmt: skip
    later = harness.sweep(experiment, name="cut")
    now = {one.number: len(one.epochs) for one in later.trials}
    assert sum(now.values()) > sum(reached.values())
    assert all(now[number] >= count for number, count in reached.items())


@pytest.mark.usefixtures("own_jupyter")
def test_the_notebook_of_the_experiments() -> None:
    notebook = nbformat.read(ROOT / "experiments" / "notebook.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": "."}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pages = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    assert any("<progress" in page and "4 of 4 trials · best 0." in page for page in pages)
    assert any("<table" in page and "val_f1_macro" in page for page in pages)
    assert [output for output in outputs if output.output_type == "stream" and output.name == "stderr"] == []
    assert verify_bundle(Path("exports/night")) == []


@contextlib.contextmanager
def kernel() -> Iterator[tuple[KernelManager, Any]]:
    manager, client = start_new_kernel(kernel_name="python3", cwd=os.fspath(Path.cwd()))
    try:
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def reply(client: Any, request: str, seconds: float) -> dict[str, Any]:
    """The kernel's reply to one request.

    A kernel that is slow to start was asked more than once whether it is there, and those replies come first.
    """
    deadline = time.monotonic() + seconds
    while True:
        message = client.get_shell_msg(timeout=max(0.0, deadline - time.monotonic()))
        if message["parent_header"].get("msg_id") == request:
            content: dict[str, Any] = message["content"]
            return content


@pytest.mark.usefixtures("own_jupyter")
def test_an_interrupted_cell_leaves_a_study_that_goes_on() -> None:
    with kernel() as (manager, client):
        # Otherwise the kernel drops what is asked of it just after an error.
        cell = client.execute(
            f"import harness\nharness.sweep({LONG}, name='cell')\nprint('went on')", stop_on_error=False
        )
        begun("cell")
        manager.interrupt_kernel()
        ended = reply(client, cell, 120)
        assert ended["status"] == "error"
        assert ended["ename"] == "KeyboardInterrupt"
        study = harness.open_study("cell")
        assert not study.complete
        assert all(one.state != "running" for one in study.trials)
        cell = client.execute("assert not harness.open_study('cell').complete")
        assert reply(client, cell, 60)["status"] == "ok"
