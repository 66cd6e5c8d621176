"""The event log: append-only JSON lines, each with a sequence number and a checksum.

A line is `{"seq": 7, "event": {…}, "crc": "1a2b3c4d"}`, the CRC-32 being that of the text before
`, "crc"`. A crash can tear the last line only: readers leave it out, and the next writer, which holds
the study's lock, cuts it off. Damage anywhere else is an error, never skipped.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, StudyError
from harness.paths import StudyPaths, study_names, sync_folder
from harness.records import Event, LogRecord, StudyStarted, event_from_log

_CRC = ', "crc": "'
_DECODER = json.JSONDecoder()


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))


def _values(record: Any) -> dict[str, Any]:
    """What `dataclasses.asdict` makes of a record, but without copying what is in it.

    Raises:
        TypeError: it is not a dataclass.
    """
    kind: type = type(record)
    return {name: getattr(record, name) for name in _names(kind)}


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_values)


def encode(record: LogRecord) -> str:
    """One line, with its newline."""
    body = _ENCODER.encode({"seq": record.seq, "event": record.event})[:-1]
    return f'{body}{_CRC}{zlib.crc32(body.encode()):08x}"}}\n'


def decode(line: str) -> LogRecord:
    """The inverse of `encode`; raises ValueError for anything else than a whole, true line."""
    body, mark, rest = line.rpartition(_CRC)
    if not mark or rest != f'{zlib.crc32(body.encode()):08x}"}}\n':
        raise ValueError("the checksum does not match")
    values, end = _DECODER.raw_decode(body + "}")  # `json.loads` looks for white space around it, twice
    if end <= len(body):
        raise ValueError("there is more than one value")
    return LogRecord(seq=values["seq"], event=event_from_log(values["event"]))


def read(file: Path) -> list[LogRecord]:
    """All whole records; a torn last line is left out.

    Raises:
        StudyError: the file does not exist, or a line other than the last is damaged.
    """
    return _read(file)[0]


def find_study(study_id: str) -> str | None:
    """The name of the study under `home()` that has this id; names may be used again, and folders renamed."""
    for name in study_names():
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            with StudyPaths.of(name).log.open(encoding="utf-8") as lines:
                first = decode(lines.readline()).event
            if isinstance(first, StudyStarted) and first.study_id == study_id:
                return name
    return None


def _read(file: Path) -> tuple[list[LogRecord], int]:
    """The whole records and the number of bytes they take."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise StudyError(f"There is no event log at {file}.") from None
    except OSError as error:
        raise StudyError(f"The event log {file} cannot be read: {error.strerror}.") from error
    # Not splitlines: a damaged byte may look like another kind of line end.
    *whole, rest = content.split(b"\n")
    lines = [line + b"\n" for line in whole] + ([rest] if rest else [])
    records: list[LogRecord] = []
    length = 0
    for number, line in enumerate(lines, start=1):
        try:
            record = decode(line.decode("utf-8"))
            if record.seq != number:
                raise ValueError(f"its number is {record.seq}")
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):
                break
            raise StudyError(
                f"The event log {file} is damaged at line {number} of {len(lines)} ({error}). "
                "Restore it from a copy; everything before that line is intact."
            ) from error
        records.append(record)
        length += len(line)
    return records, length


class EventLog:
    """The one writer of a study's log; the caller holds the study's lock."""

    def __init__(self, file: Path) -> None:
        existed = file.exists()
        self.records: list[LogRecord] = []
        """What the log held when it was opened."""
        self.repairs: list[str] = []
        """Sentences, if the last record had to be dropped."""
        length = 0
        if existed:
            self.records, length = _read(file)
            dropped = file.stat().st_size - length
            if dropped:
                self.repairs.append(
                    f"The last record of the event log had been cut off or damaged; its {dropped} bytes were "
                    "dropped, and what it told of is done again."
                )
        self._seq = len(self.records)
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
            self._stream = os.fdopen(descriptor, "r+b", buffering=0)
        except OSError as error:
            raise HarnessError(f"The event log {file} cannot be written: {error.strerror}.") from error
        self._length = length
        """Bytes of the whole lines."""
        self._unsynced: list[bytes] = []
        """The lines that were appended since the last `commit`."""
        self._write_anew = False
        """Whether these lines may be lost although they were written, since they could not be synced."""
        self._cut()
        if not existed:
            sync_folder(file.parent)
        # What an earlier session wrote last may still be in memory only.
        os.fsync(self._stream.fileno())
        self._durable = self._seq

    def __len__(self) -> int:
        """How many records it holds."""
        return self._seq

    @property
    def durable(self) -> int:
        """The number of the last record that no power cut can take away any more."""
        return self._durable

    def append(self, event: Event, *, durable: bool = False) -> LogRecord:
        """Add an event; with `durable` it is on disk, with all before it, when this returns.

        Raises:
            OSError: it cannot be written, perhaps for want of room; the log is then as it was.
        """
        record = LogRecord(self._seq + 1, event)
        line = encode(record).encode()
        self._write(line)
        self._seq += 1
        if durable:
            try:
                self.commit()
            except OSError:
                self._unsynced.pop()
                self._seq -= 1
                self._length -= len(line)
                self._cut()
                raise
        return record

    def _write(self, line: bytes) -> None:
        """All of the line, or nothing."""
        try:
            written = 0
            while written < len(line):
                written += self._stream.write(line[written:])
        except OSError:
            self._cut()
            raise
        self._length += len(line)
        self._unsynced.append(line)

    def _cut(self) -> None:
        self._stream.truncate(self._length)
        self._stream.seek(self._length)

    def commit(self) -> None:
        """Make everything durable that has been appended, however much it is, with one sync.

        Raises:
            OSError: that cannot be done, perhaps for want of room; it may be tried again.
        """
        if self._durable == self._seq:
            return
        if self._write_anew:
            # What could not be synced may be gone from memory, too, and a second sync would not tell.
            lines, self._unsynced = self._unsynced, []
            self._length -= sum(map(len, lines))
            self._cut()
            try:
                for line in lines:
                    self._write(line)
            except OSError:
                missing = lines[len(self._unsynced) :]
                self._unsynced += missing
                self._length += sum(map(len, missing))
                raise
        try:
            os.fsync(self._stream.fileno())
        except OSError:
            self._write_anew = True
            raise
        self._write_anew = False
        self._unsynced.clear()
        self._durable = self._seq

    def sync(self) -> None:
        """Make everything durable that has been appended, as far as the disk lets one."""
        with contextlib.suppress(OSError):
            self.commit()

    def close(self) -> None:
        """Make everything durable and let go of the file."""
        if not self._stream.closed:
            self.commit()
            self._stream.close()
