"""A full disk under checkpoints, databases or the event log: the sweep waits, says so, and goes on."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from harness.deploy.checksums import verify_bundle
from harness.paths import StudyPaths
from tests.faults.support import LONG, Running, events, harness, proven, running, seen, tiny, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

SIZE = "48m"
LONG_ENOUGH = ["--trials", "6", "--epochs", "60"]
"""Still training when MLflow has made its tables, or some trials have ended and the disk is full again."""


@dataclass
class Tmpfs:
    """A small file system of its own, which the commands with `prefix` see at `folder`."""

    folder: Path
    keeper: subprocess.Popen[bytes]
    others: threading.Thread | None = None
    """They write for as long as the disk shall be full."""
    room: threading.Event = field(default_factory=threading.Event)

    @property
    def prefix(self) -> list[str]:
        return [
            "nsenter", f"--target={self.keeper.pid}", "--user", "--mount", "--preserve-credentials",
            f"--wd={Path.cwd()}",
        ]  # fmt: skip

    @property
    def inside(self) -> Path:
        """The folder as this process reaches it."""
        return Path(f"/proc/{self.keeper.pid}/root{self.folder}")

    def fill(self, _: Running | None = None) -> None:
        """Take all room, and from now on what is given free, as others do who write to a full disk.

        Without them a worker that deletes an old checkpoint after the disk was filled would have the room for
        its next one, and so on to the end of the trial.
        """
        self.leave(0)
        self.room.clear()
        self.others = threading.Thread(target=self._keep_full, daemon=True)
        self.others.start()

    def _keep_full(self) -> None:
        while not self.room.wait(0.01):
            with suppress(OSError):
                self._write()

    def leave(self, size: int) -> None:
        """Leave so many bytes, in whole pages."""
        self._write()
        os.truncate(self.inside / "filler", (self.inside / "filler").stat().st_size - size)

    def _write(self) -> None:
        with (self.inside / "filler").open("ab", buffering=0) as filler:
            for size in (1 << 20, 4096, 1):
                with suppress(OSError):
                    while True:
                        filler.write(b"x" * size)

    def make_room(self, _: Running | None = None) -> None:
        self.room.set()
        if self.others:
            self.others.join()
            self.others = None
        (self.inside / "filler").unlink()

    def keep(self) -> None:
        """Bring what is on it to where everybody sees it."""
        shutil.copytree(self.inside, self.folder, dirs_exist_ok=True, symlinks=True)


@dataclass
class FileSizeLimit:
    """Where there are no private file systems: a limit on the size of the files of some processes."""

    folder: Path
    of_workers: bool
    largest: int
    prefix: list[str] = field(default_factory=list)

    @property
    def inside(self) -> Path:
        return self.folder

    def _set(self, sweep: Running | None, limit: int) -> None:
        assert sweep is not None
        processes = sweep.workers() if self.of_workers else [psutil.Process(sweep.process.pid)]
        for process in processes:
            process.rlimit(psutil.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def fill(self, sweep: Running | None = None) -> None:
        self._set(sweep, self.largest)

    def make_room(self, sweep: Running | None = None) -> None:
        self._set(sweep, resource.RLIM_INFINITY)

    def keep(self) -> None:
        """It is there already."""


SmallDisk = Tmpfs | FileSizeLimit


def can_mount() -> bool:
    """Whether a user may mount a file system of their own on this machine."""
    command = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except OSError:
        return False


WAYS = ["tmpfs"] if can_mount() else ["file size limit"]
if LONG and "tmpfs" in WAYS:
    WAYS.append("file size limit")
each_way = pytest.mark.parametrize("way", WAYS)


@contextmanager
def small_disk(
    way: str, folder: Path, *, of_workers: bool = False, largest: int = 2048
) -> Iterator[SmallDisk]:
    """A disk that can be filled at `folder`.

    Args:
        way: what it is made of.
        folder: where it is seen.
        of_workers: limit the workers' files; else the coordinator's.
        largest: bytes that a file may have when the disk counts as full.
    """
    folder.mkdir(parents=True)
    if way != "tmpfs":
        yield FileSizeLimit(folder, of_workers, largest)
        return
    script = 'mount -t tmpfs -o "size=$1" tmpfs "$2" && echo mounted && exec sleep 3600'
    keeper = subprocess.Popen(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", SIZE, str(folder)],
        stdout=subprocess.PIPE,
    )
    disk = Tmpfs(folder, keeper)
    try:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == b"mounted\n"
        yield disk
    finally:
        disk.room.set()
        keeper.kill()
        keeper.wait()
        assert keeper.stdout is not None
        keeper.stdout.close()


def stands_still(disk: SmallDisk, seconds: float = 4) -> None:
    """Nothing more is told while the disk is full."""
    time.sleep(seconds)
    before = log_of(disk)
    time.sleep(seconds)
    assert log_of(disk) == before


def log_of(disk: SmallDisk) -> bytes:
    """The event log, which may be on the disk."""
    for log in (StudyPaths.of("s").log, disk.inside / "events.jsonl"):
        with suppress(FileNotFoundError):
            return log.read_bytes()
    return b""


@each_way
def test_under_checkpoints_and_models_the_sweep_waits_for_room(way: str) -> None:
    with small_disk(way, StudyPaths.of("s").folder / "trials", of_workers=True) as disk:
        with running("sweep", tiny(), "--study", "s", *LONG_ENOUGH, prefix=disk.prefix) as sweep:
            until(seen("s", "epoch_ended", trial=1, epoch=2), sweep)
            disk.fill(sweep)
            until(lambda: "The sweep waits" in sweep.stderr, sweep)
            stands_still(disk)
            disk.make_room(sweep)
            until(seen("s", "trial_ended", trial=2), sweep)
            disk.fill(sweep)
            stands_still(disk)
            # A ctrl-C does not wait for room.
            sweep.process.send_signal(signal.SIGINT)
            began = time.monotonic()
            assert sweep.wait(30) == 130, sweep.stderr
            print(f"{time.monotonic() - began:.1f} s from ctrl-C to the end")
        assert "harness resume s" in sweep.stderr
        if isinstance(disk, Tmpfs):
            disk.make_room()
        harness("resume", "s", prefix=disk.prefix)
        disk.keep()
    state = proven("s", 6)
    assert {trial.state for trial in state.trials.values()} == {"complete"}


@each_way
def test_under_the_databases_training_goes_on_and_they_catch_up(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once there is room again before the end, and once there is not: then `harness sync` finishes it."""
    folder = Path.cwd() / "databases"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    monkeypatch.setenv("HARNESS_STORAGE", f"sqlite:///{folder}/optuna.db")
    # MLflow's and Optuna's files are larger than that, the log is smaller.
    with small_disk(way, folder, largest=300_000) as disk:
        with running("sweep", tiny(), "--study", "s", *LONG_ENOUGH, prefix=disk.prefix) as sweep:
            until(seen("s", "trial_ended", trial=0), sweep)
            until(
                lambda: (disk.inside / "optuna.db").exists() and (disk.inside / "mlflow.db").exists(), sweep
            )
            disk.fill(sweep)
            full = len(events("s"))
            until(lambda: len(events("s")) > full + 40, sweep)
            disk.make_room(sweep)
            assert sweep.wait() == 0, sweep.stderr
        with running("resume", "s", "--trials", "8", prefix=disk.prefix) as sweep:
            until(seen("s", "trial_started", trial=6), sweep)
            disk.fill(sweep)
            assert sweep.wait() == 4, sweep.stderr
        assert "harness sync s" in sweep.stderr
        assert "Traceback" not in sweep.stderr
        if isinstance(disk, Tmpfs):
            disk.make_room()
        harness("sync", "s", prefix=disk.prefix)
        disk.keep()
    proven("s", 8)


@each_way
def test_under_the_event_log_everything_waits_and_nothing_is_lost(way: str) -> None:
    log = StudyPaths.of("s").log
    with small_disk(way, Path.cwd() / "logs") as disk:
        log.parent.mkdir(parents=True)
        log.symlink_to(disk.folder / "events.jsonl")
        waiting = "The sweep waits: the event log cannot be written"
        # Workers are silent for longer than they may be, for the coordinator does not listen.
        limit = ["--set", "search.hang_seconds=15"]
        with running("sweep", tiny(), "--study", "s", *LONG_ENOUGH, *limit, prefix=disk.prefix) as sweep:
            until(lambda: b'"epoch": 3' in log_of(disk), sweep)
            disk.fill(sweep)
            until(lambda: waiting in sweep.stderr, sweep)
            stands_still(disk, 9)
            disk.make_room(sweep)
            until(lambda: log_of(disk).count(b"trial_ended") >= 2, sweep)
            disk.fill(sweep)
            stands_still(disk)
            sweep.process.send_signal(signal.SIGINT)
            began = time.monotonic()
            assert sweep.wait(30) in (1, 130), sweep.stderr
            print(f"{time.monotonic() - began:.1f} s from ctrl-C to the end")
        assert "Make room, then resume the study" in sweep.stderr
        if isinstance(disk, Tmpfs):
            disk.make_room()
        harness("resume", "s", prefix=disk.prefix)
        disk.keep()
    log.unlink()
    shutil.copy(Path("logs") / "events.jsonl", log)
    state = proven("s", 6)
    # No worker was taken for a hanging one.
    assert max(trial.attempts for trial in state.trials.values()) <= 2


needs_mounts = pytest.mark.skipif(
    WAYS[0] != "tmpfs",
    reason="a user may not mount a file system here, and commands this short have no other",
)


@needs_mounts
def test_under_an_ensemble_nothing_is_left_of_it_and_a_repeat_makes_it() -> None:
    harness("sweep", tiny(), "--study", "s", "--trials", "3")
    paths = StudyPaths.of("s")
    before = paths.log.read_bytes()
    command = ["ensemble", "s", "--top", "2"]
    with small_disk("tmpfs", paths.folder / "ensembles") as disk:
        assert isinstance(disk, Tmpfs)
        for room in (0, 30_000):  # for no file, and for a part of the files
            disk.leave(room)
            done = harness(*command, code=1, prefix=disk.prefix)
            assert done.stderr.count("Error: ") == 1
            assert "could not be averaged. The disk has no room: No space left on device." in done.stderr
            assert "the same command tries again" in done.stderr
            assert [file.name for file in disk.inside.rglob("*")] == ["filler"]
            assert paths.log.read_bytes() == before
            disk.make_room()
        harness(*command, prefix=disk.prefix)
        disk.keep()
    assert [one.number for one in proven("s", 3).ensembles] == [0]


@needs_mounts
def test_under_the_log_an_ensemble_waits_to_be_written_down() -> None:
    harness("sweep", tiny(), "--study", "s", "--trials", "5")
    log = StudyPaths.of("s").log
    waiting = "The command waits: the event log cannot be written"
    with small_disk("tmpfs", Path.cwd() / "logs") as disk:
        assert isinstance(disk, Tmpfs)
        shutil.copy(log, disk.inside / "events.jsonl")
        log.unlink()
        log.symlink_to(disk.folder / "events.jsonl")
        disk.fill()
        # What is left of the log's last page may hold the lines of the first ones.
        for number in range(2, 6):
            before = log_of(disk)
            with running("ensemble", "s", "--top", str(number), prefix=disk.prefix) as made:
                until(lambda: waiting in made.stderr or made.process.poll() is not None)
                has_waited = waiting in made.stderr
                if has_waited:
                    assert log_of(disk) == before
                    disk.make_room()
                assert made.wait() == 0, made.stderr
            if has_waited:
                break
        assert has_waited
        disk.keep()
    log.unlink()
    shutil.copy(Path("logs") / "events.jsonl", log)
    assert len(proven("s", 5).ensembles) == number - 1


@needs_mounts
def test_under_an_export_there_is_no_half_bundle_and_a_repeat_makes_it() -> None:
    harness("sweep", tiny(), "--study", "s", "--trials", "1")
    target = Path.cwd() / "disk" / "bundle"
    command = ["export", "s", "--out", str(target), "--formats", "saved_model", "--zip"]
    with small_disk("tmpfs", target.parent) as disk:
        assert isinstance(disk, Tmpfs)
        bundle, archive = disk.inside / "bundle", disk.inside / "bundle.zip"
        disk.fill()
        _no_room_for_a_bundle(command, disk)
        assert [file.name for file in disk.inside.iterdir()] == ["filler"]
        disk.make_room()
        harness(*command, prefix=disk.prefix)
        size = sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file())
        whole = archive.read_bytes()
        for room in (size // 2, size + len(whole) // 2):  # for a part of it, and for all but its archive
            disk.leave(room)
            _no_room_for_a_bundle([*command, "--replace"], disk)
            assert sorted(file.name for file in disk.inside.iterdir()) == ["bundle", "bundle.zip", "filler"]
            assert verify_bundle(bundle) == [], "what was there before is as it was"
            assert archive.read_bytes() == whole
            disk.make_room()


def _no_room_for_a_bundle(command: list[str], disk: Tmpfs) -> None:
    done = harness(*command, code=1, prefix=disk.prefix)
    assert done.stderr.count("Error: ") == 1
    assert "There is no room for the bundle" in done.stderr
    assert "Make room, and the same command exports it." in done.stderr


def test_a_folder_that_cannot_be_made_for_want_of_room_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from harness import paths

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    waits = []

    def wait(error: OSError) -> None:
        waits.append(error)
        monkeypatch.undo()

    monkeypatch.setattr(Path, "mkdir", full)
    target = Path.cwd() / "made"
    assert paths.when_there_is_room(lambda: paths.make_folder(target), wait) == target
    assert len(waits) == 1
