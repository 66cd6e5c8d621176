"""A list in a text file: comma, semicolon, tab or `|` between the fields, a header line on top."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from harness.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
START = 1 << 16
"""Characters in which a header has to end."""
_MARKS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True, slots=True)
class Table:
    """A list that was read."""

    file: Path
    header: tuple[str, ...]
    rows: list[tuple[int, list[str]]]
    """1-based line and fields, as many as the header has."""


def read_table(file: Path, most: int | None = None) -> Table:
    """Read the list in a file, with white space around its fields removed.

    Args:
        file: UTF-8 with or without a byte-order mark, or UTF-16 with one.
        most: how many rows to read.

    Raises:
        DataError: naming the file, and the line where there is one.
    """
    try:
        with file.open("rb") as raw:
            start = raw.read(4)
        encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8-sig")
        with file.open(encoding=encoding, newline="") as stream:
            first = next((line for line in stream.read(START).splitlines() if line.strip()), "")
            stream.seek(0)
            lines = csv.reader(stream, delimiter=_delimiter(first), skipinitialspace=True)
            header = tuple(field.strip() for field in next((one for one in lines if any(one)), []))
            return Table(file, header, list(islice(_rows(file, lines, len(header)), most)))
    except (UnicodeError, csv.Error) as error:
        raise DataError(f"The manifest {file} is not a CSV file in UTF-8 ({error}).") from error
    except OSError as error:
        raise DataError(f"The manifest {file} cannot be read: {error.strerror}.") from error


def _delimiter(line: str) -> str:
    """The one that the header has most of; within quotes they do not count."""
    bare = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=bare.count)


def _rows(file: Path, lines: Iterator[list[str]], width: int) -> Iterator[tuple[int, list[str]]]:
    for fields in lines:
        line: int = lines.line_num  # type: ignore[attr-defined]
        if not any(field.strip() for field in fields):
            continue
        stripped = [field.strip() for field in fields]
        if len(stripped) > width and any(stripped[width:]):
            raise DataError(
                f"{file}:{line}: there are {len(stripped)} fields, but {width} columns. Put a field that "
                "holds the separator in quotes."
            )
        yield line, (stripped + [""] * width)[:width]
