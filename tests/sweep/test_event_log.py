"""The event log survives torn writes and notices damage."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import StudyError
from harness.records import EpochEnded, LogRecord, StudyEnded
from harness.sweep.event_log import EventLog, decode, encode, read

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
