"""The event log survives torn writes and notices damage."""

from __future__ import annotations

import errno
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import StudyError
from harness.paths import StudyPaths
from harness.records import (
    Annealing,
    Checkpoint,
    CheckpointSaved,
    EpochEnded,
    LogRecord,
    SegmentStarted,
    StudyEnded,
    event_from_log,
)
from harness.study.event_log import EventLog, decode, encode, find_study, read
from tests.studies import study_started

EVENTS = [
    EpochEnded(trial=0, attempt=1, epoch=1, metrics={"loss": 0.5, "val_accuracy": float("inf")}, time=1),
    EpochEnded(trial=0, attempt=1, epoch=2, metrics={"loss": 0.25}, time=2),
    StudyEnded(reason='done, "crc": "ü"', complete=True, time=3),
]


def written(folder: Path) -> Path:
    file = folder / "events.jsonl"
    log = EventLog(file)
    for event in EVENTS:
        log.append(event, durable=True)
    log.close()
    return file


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    file = written(tmp_path)
    assert [record.event for record in read(file)] == EVENTS
    assert [record.seq for record in read(file)] == [1, 2, 3]
    assert file.stat().st_mode & 0o077 == 0


@given(st.text(), st.floats(allow_nan=False), st.integers(0, 2**40))
def test_every_event_survives_encoding(text: str, number: float, time: int) -> None:
    for event in (
        StudyEnded(reason=text, complete=False, time=time),
        EpochEnded(trial=1, attempt=2, epoch=3, metrics={text: number}, time=time),
    ):
        line = encode(LogRecord(7, event))
        assert line.count("\n") == 1
        assert decode(line) == LogRecord(7, event)


def test_a_training_that_ends_early_is_read_back_and_earlier_versions_tell_of_none() -> None:
    started = SegmentStarted(
        trial=1, attempt=2, start=3, stop=7, worker=0, annealing=Annealing(start=3, stop=7), time=1
    )
    assert decode(encode(LogRecord(7, started))) == LogRecord(7, started)
    before = {name: value for name, value in asdict(started).items() if name != "annealing"}
    assert event_from_log(before) == replace(started, annealing=None)


def test_a_log_cut_at_any_byte_of_its_last_record_loses_that_record_only(tmp_path: Path) -> None:
    whole = written(tmp_path).read_bytes()
    start_of_last = whole[:-1].rfind(b"\n") + 1
    for length in range(start_of_last, len(whole)):
        file = tmp_path / f"cut-{length}.jsonl"
        file.write_bytes(whole[:length])
        assert [record.event for record in read(file)] == EVENTS[:2]
        log = EventLog(file)
        log.append(EVENTS[2])
        log.close()
        assert file.read_bytes() == whole


def test_damage_before_the_end_is_refused_and_located(tmp_path: Path) -> None:
    file = written(tmp_path)
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    file.write_bytes(content)
    with pytest.raises(StudyError, match="damaged at line 1 of 3"):
        read(file)


def test_a_missing_record_is_noticed(tmp_path: Path) -> None:
    file = written(tmp_path)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + lines[2] + lines[2])
    with pytest.raises(StudyError, match="damaged at line 2"):
        read(file)


def test_a_missing_log_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="There is no event log"):
        read(tmp_path / "none.jsonl")


def test_the_log_knows_what_no_power_cut_can_take_away(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    assert log.durable == 0
    log.append(EVENTS[0])
    assert log.durable == 0
    log.append(EVENTS[1], durable=True)
    log.append(EVENTS[2])
    assert log.durable == 2
    log.sync()
    assert log.durable == 3
    log.append(EVENTS[2])
    log.close()
    log = EventLog(tmp_path / "events.jsonl")  # what was written last is synced before anybody hears of it
    assert log.durable == 4
    log.close()


def test_one_sync_makes_durable_whatever_has_been_appended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    for event in EVENTS:
        log.append(event)
    assert (log.durable, synced) == (0, [])
    log.commit()
    log.commit()
    assert (log.durable, len(log), len(synced)) == (3, 3, 1)
    log.close()


@pytest.mark.parametrize("fails", ["sync", "write"])
def test_what_could_not_be_synced_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """A sync that fails may have dropped from memory what was written: a second one would not tell."""
    file = tmp_path / "events.jsonl"
    log = EventLog(file)
    log.append(EVENTS[0], durable=True)
    safe = file.stat().st_size
    for event in EVENTS[1:]:
        log.append(event)
    whole = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            log.commit()
    assert log.durable == 1
    file.write_bytes(whole[:safe] + b"\0" * (len(whole) - safe))  # as a disk may leave it that had no room
    if fails == "write":
        ways = iter([EventLog._write, full])

        def write(log: EventLog, line: bytes) -> None:
            next(ways)(log, line)

        with monkeypatch.context() as patched:
            patched.setattr(EventLog, "_write", write)
            with pytest.raises(OSError, match="No space"):
                log.commit()
        assert log.durable == 1
    log.commit()
    assert log.durable == 3
    log.append(EVENTS[2])
    log.close()
    assert [record.event for record in read(file)] == [*EVENTS, EVENTS[2]]


@given(st.dictionaries(st.text(), st.floats(allow_nan=False)), st.text())
def test_a_line_is_what_it_has_always_been(metrics: dict[str, float], text: str) -> None:
    """Readers of other versions find what `dataclasses.asdict` makes of an event, in the same bytes."""
    saved = Checkpoint(file=text, sha256="0" * 64, epoch=3)
    for event in (
        study_started(),
        EpochEnded(trial=1, attempt=2, epoch=3, metrics=metrics, time=4),
        CheckpointSaved(trial=1, attempt=2, checkpoint=saved, time=5),
    ):
        body = json.dumps({"seq": 7, "event": asdict(event)}, ensure_ascii=False)[:-1]
        assert encode(LogRecord(7, event)).rpartition(', "crc"')[0] == body


def test_a_study_is_found_by_its_id_whatever_its_folder_is_called() -> None:
    for name, study_id in (("one", "a" * 32), ("two", "b" * 32)):
        log = EventLog(made(StudyPaths.of(name)).log)
        log.append(study_started(study_id=study_id), durable=True)
        log.close()
    made(StudyPaths.of("empty")).log.write_text("")
    made(StudyPaths.of("broken")).log.write_bytes(b"\xff\x00{}\n")
    StudyPaths.of("two").folder.rename(StudyPaths.of("renamed").folder)
    assert find_study("a" * 32) == "one"
    assert find_study("b" * 32) == "renamed"
    assert find_study("c" * 32) is None


def made(paths: StudyPaths) -> StudyPaths:
    paths.folder.mkdir(parents=True)
    return paths
