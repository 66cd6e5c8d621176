"""Files that are cut off or changed: noticed, named, mended or refused, but never used in silence."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import pytest

from harness.errors import StudyError
from harness.paths import StudyPaths
from harness.records import LogRecord
from harness.study.event_log import EventLog, encode, read
from tests.faults.support import (
    LONG,
    events,
    harness,
    leaderboard,
    proven,
    running,
    seen,
    state_of,
    tiny,
    until,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

PLAIN = ["--trials", "6"]


def flip(file: Path, at: int | None = None, seed: int = 0) -> None:
    """Change one bit."""
    content = bytearray(file.read_bytes())
    rng = random.Random(seed)
    content[rng.randrange(len(content)) if at is None else at] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def interrupted(study: str, *arguments: str, experiment: str | None = None) -> None:
    """A study that was stopped by ctrl-C in the middle of a trial."""
    with running("sweep", experiment or tiny(), "--study", study, *arguments) as sweep:
        until(seen(study, "epoch_ended", trial=2, epoch=2), sweep)
        sweep.process.send_signal(signal.SIGINT)
        assert sweep.wait(60) == 130, sweep.stderr


def test_a_log_cut_at_every_byte_of_a_record_or_with_a_flipped_bit_loses_that_record_only() -> None:
    """Each kind of record of a real study is the last one once; then a few by real commands.

    Every byte of the study's own last record, every seventh of the other kinds in the short suite.
    """
    harness("sweep", tiny(), "--study", "s", *PLAIN)
    proven("s", 6)
    board = leaderboard("s")
    log = StudyPaths.of("s").log
    records = read(log)
    last_of_kind = {record.event.kind: record for record in records}
    assert len(last_of_kind) >= 8
    whole = log.read_bytes()
    cuts = flips = 0
    for record in last_of_kind.values():
        # The whole log before its last record, a few lines before one of another kind.
        intact = records[: -1 if record is records[-1] else 3]
        last = LogRecord(len(intact) + 1, record.event)
        before = b"".join(encode(one).encode() for one in intact)
        line = encode(last).encode()
        step = 1 if LONG or record is records[-1] else 7
        damaged = [line[:length] for length in range(1, len(line), step)]
        cuts += len(damaged)
        for position in range(0, len(line), step):
            changed = bytearray(line)
            changed[position] ^= 1 << position % 8
            if b"\n" in changed[:-1]:
                continue  # two lines now: refused, like any damage before the end
            damaged.append(bytes(changed))
            flips += 1
        for rest in damaged:
            _loses_only(intact, before, rest, last)
    assert log.read_bytes() == whole
    print(f"{cuts} cuts and {flips} flipped bits, in {len(last_of_kind)} kinds of records")

    # By commands: MLflow and Optuna know more than the log does now, and are to agree with it again.
    rng = random.Random(1)
    for kind in ("study_ended", "epoch_ended", "trial_ended") if LONG else ("study_ended", "epoch_ended"):
        record = last_of_kind[kind]
        start = sum(len(encode(one).encode()) for one in records[: record.seq - 1])
        log.write_bytes(whole[: start + rng.randrange(1, len(encode(record).encode()))])
        with running("resume", "s") as sweep:
            assert sweep.wait() == 0, sweep.stderr
        assert "The last record of the event log had been cut off or damaged" in sweep.stderr
        proven("s", 6)
        assert leaderboard("s") == board
        records, whole = read(log), log.read_bytes()
        last_of_kind = {record.event.kind: record for record in records}


def _loses_only(intact: list[LogRecord], before: bytes, rest: bytes, last: LogRecord) -> None:
    file = Path("damaged.jsonl")
    file.write_bytes(before + rest)
    assert read(file) == intact
    log = EventLog(file)
    assert log.records == intact
    assert len(log.repairs) == 1
    assert f"{len(rest)} bytes" in log.repairs[0]
    assert file.read_bytes() == before
    log.append(last.event)
    log.close()
    assert read(file) == [*intact, last]


def test_a_log_damaged_before_its_end_is_refused_by_every_command() -> None:
    harness("sweep", tiny(), "--study", "s", "--trials", "1", "--epochs", "2")
    log = StudyPaths.of("s").log
    whole = log.read_bytes()
    starts = [0]
    for line in whole.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    number = len(starts) // 2
    flip(log, at=starts[number - 1] + 30)
    damaged = log.read_bytes()
    for command in ("resume", "status", "leaderboard", "verify", "sync"):
        done = harness(command, "s", code=1)
        assert f"{log} is damaged at line {number} of {len(starts) - 1}" in done.stderr, command
        assert len(done.stderr.strip().splitlines()) == 1
        assert log.read_bytes() == damaged
    for line in range(len(starts) - 2):  # every line but the last, every byte in the long suite
        for position in range(starts[line], starts[line + 1] - 1, 1 if LONG else 101):
            log.write_bytes(whole)
            flip(log, at=position)
            with pytest.raises(StudyError, match=f"damaged at line {line + 1} of"):
                read(log)
    log.write_bytes(whole)
    proven("s", 1)


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used() -> None:
    """Both of another trial are damaged: it begins again."""
    harness("sweep", tiny(), "--study", "whole", *PLAIN, "--epochs", "60")
    board = leaderboard("whole")
    with running("sweep", tiny(), "--study", "s", *PLAIN, "--epochs", "60") as sweep:
        until(seen("s", "checkpoint_saved", trial=2), sweep)
        until(
            lambda: all(len(one.checkpoints) == 2 for one in open_trials()) and len(open_trials()) == 2, sweep
        )
        sweep.kill_group()
    first, second = open_trials()
    folder = StudyPaths.of("s").folder
    flip(folder / first.checkpoints[-1].file)
    for number, checkpoint in enumerate(second.checkpoints):
        flip(folder / checkpoint.file, seed=number)
    with running("resume", "s") as sweep:
        assert sweep.wait() == 0, sweep.stderr
    said = sweep.stderr
    for checkpoint in (first.checkpoints[-1], *second.checkpoints):
        assert f"The checkpoint {folder / checkpoint.file} is damaged" in said
    assert str(folder / first.checkpoints[0].file) not in said
    damaged = [event["trial"] for event in events("s") if event["kind"] == "checkpoint_damaged"]
    assert sorted(damaged) == sorted([first.number, second.number, second.number])
    again = {
        trial: min(
            event["epoch"]
            for event in events("s")
            if event["kind"] == "epoch_ended" and event["trial"] == trial and event["attempt"] == 2
        )
        for trial in (first.number, second.number)
    }
    assert again == {first.number: first.checkpoints[0].epoch + 1, second.number: 1}
    proven("s", 6)
    assert leaderboard("s") == board


def open_trials() -> list:  # type: ignore[type-arg]
    return [trial for trial in state_of("s").trials.values() if not trial.has_ended and trial.attempts]


def test_a_changed_model_is_named_by_verify_and_not_exported() -> None:
    harness("sweep", tiny(), "--study", "s", "--trials", "1", "--epochs", "2")
    harness("verify", "s")
    model = state_of("s").trials[0].model
    assert model is not None
    file = StudyPaths.of("s").folder / model.file
    whole = file.read_bytes()
    flip(file)
    done = harness("verify", "s", code=1)
    assert f"{file} was changed" in done.stdout + done.stderr
    done = harness("export", "--study", "s", "--out", "bundle", code=1)
    assert str(file) in done.stderr
    assert not Path("bundle").exists()
    file.write_bytes(whole)
    (copy,) = Path("mlruns").rglob("model.keras")
    flip(copy)
    done = harness("verify", "s", code=1)
    assert "the model of trial 0 in MLflow is missing or was changed" in done.stdout + done.stderr


def picture_folder() -> Path:
    """A few of the digits as files."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    folder = Path("pictures")
    for number, (image, label) in enumerate(zip(digits.images[:500], digits.target, strict=False)):
        target = folder / str(label) / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15.9).astype(np.uint8)).save(target)
    return folder


def test_damaged_prepared_data_is_made_again_and_a_changed_data_set_is_refused(tmp_path: Path) -> None:
    folder = picture_folder()
    # The limit on training images goes with the set.
    arguments = ["--dataset", str(folder), "--set", "dataset.limit_train=300", *PLAIN, "--epochs", "60"]
    interrupted("s", *arguments)
    untouched = tmp_path / "untouched"
    shutil.copytree(Path.cwd(), untouched)

    # One picture in the place of another, of the same name.
    one, other = sorted((folder / "3").iterdir())[:2]
    one.write_bytes(other.read_bytes())
    before = StudyPaths.of("s").log.read_bytes()
    done = harness("resume", "s", code=1)
    assert "The data set pictures has changed since this study began" in done.stderr
    assert StudyPaths.of("s").log.read_bytes() == before
    shutil.rmtree(folder)
    shutil.copytree(untouched / folder, folder)

    # The prepared data: images, labels, split and manifest.
    (prepared,) = {
        file.parent
        for file in (tmp_path / "cache" / "datasets").rglob("training-*.npz")
        if file.parent.name == Path(state_of("s").started.dataset.folder).name
    }
    files = sorted(file for file in prepared.iterdir() if file.suffix in (".npy", ".npz", ".json"))
    assert len(files) >= 5
    content = {file: file.read_bytes() for file in files}
    for number, file in enumerate(files):
        flip(file, seed=number)
        # A limit that is used up, but not the recorded one, with which there would be nothing to prepare.
        limit = ["--max-epochs-total", str(1 + number % 2)]
        with running("resume", "s", *limit, "--workers", "1") as sweep:
            assert sweep.wait() == 0, sweep.stderr
        if file.suffix != ".npz":  # the split is computed every time
            assert f"The prepared data in {prepared} was damaged ({file.name})" in sweep.stderr
        assert {one: one.read_bytes() for one in files} == content
    harness("resume", "s", "--max-epochs-total", "none")
    proven("s", 6)
