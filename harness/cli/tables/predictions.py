"""What `harness predict` has found."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from harness.cli.tables.columns import Column, column, print_columns
from harness.cli.tables.evaluation import print_confusion
from harness.cli.tables.judgement import interval_text
from harness.cli.tables.lines import print_text

if TYPE_CHECKING:
    from harness.serving.agreement import Agreement
    from harness.serving.results import Guess, Result

LEAST_FILE = 16
"""Characters to which names of files may be shortened."""
LEAST_ERROR = 24
VIDEO = ("start", "end")
CSV_COLUMNS = (
    "file", "kind", "frame", "start", "end", "class", "probability", "unsure", "label", "error"
)  # fmt: skip


def print_predictions(results: Sequence[Result]) -> None:
    """Print a row for each file, and beneath that of a video one for each of its segments."""
    rows = [row for one in results for row in _rows(one)]
    most = max((len(one.guesses) for one in results), default=0)
    columns: list[Column] = [
        column("file", [row["file"] for row in rows], least=LEAST_FILE),
        *(
            column(name, [_time(row[name]) for row in rows])
            for name in VIDEO
            if any(row[name] is not None for row in rows)
        ),
        column("class", [row["class"] or "–" for row in rows]),
        column("probability", [row["probability"] for row in rows]),
        *(
            column(f"{place}.", [_further(row["guesses"], place) for row in rows], importance=place)
            for place in range(2, most + 1)
        ),
    ]
    for name, least in (("label", None), ("error", LEAST_ERROR)):
        if any(row[name] for row in rows):
            columns.append(column(name, [row[name] or "" for row in rows], importance=1, least=least))
    print_columns(columns, elsewhere="--csv and --json")


def print_agreement(found: Agreement) -> None:
    """Print how often the model is right about files in class folders."""
    print()
    print_text(
        f"{found.accuracy:.4f} ({found.hits:,} of {found.files:,} files in folders of a class; 95 %: "
        f"{interval_text(found.interval)})",
        "accuracy  ",
    )
    print_confusion(found.confusion, found.classes)


def print_csv(results: Iterable[Result], top: int) -> Iterator[Result]:
    """Print CSV, a row for each file, segment and frame, and hand on each result that was printed.

    Args:
        results: of the files.
        top: classes that there are columns for.
    """
    writer = csv.writer(sys.stdout, lineterminator="\n")
    further = [f"{name}_{place}" for place in range(1, top + 1) for name in ("class", "probability")]
    writer.writerow([*CSV_COLUMNS, *further])
    for one in results:
        for row in _csv_rows(one):
            guesses = [value for guess in row["guesses"] for value in (guess.name, guess.probability)]
            writer.writerow([*(row.get(name) for name in CSV_COLUMNS), *guesses])
        sys.stdout.flush()
        yield one


def _rows(one: Result) -> list[dict[str, Any]]:
    best = one.guesses[0] if one.guesses else None
    answer = one.answer
    if best is not None and one.unsure:
        answer = f"{answer} ({best.name})"
    first: dict[str, Any] = {
        "file": one.file,
        "start": None,
        "end": None,
        "class": answer,
        "probability": best.probability if best else None,
        "guesses": one.guesses,
        "label": one.label,
        "error": one.error,
    }
    segments = [
        first
        | {"file": "", "guesses": (), "label": None, "error": ""}
        | {"start": part.start, "end": part.end}
        | {"class": part.guess.name, "probability": part.guess.probability}
        for part in one.segments
    ]
    return [first, *segments]


def _csv_rows(one: Result) -> Iterator[dict[str, Any]]:
    whole = {
        "file": one.file,
        "kind": one.kind if one.guesses else "",
        "class": one.answer,
        "probability": one.guesses[0].probability if one.guesses else None,
        "unsure": str(one.unsure).lower() if one.guesses else "",
        "label": one.label,
        "error": one.error or None,
        "guesses": one.guesses,
    }
    yield whole
    for part in one.segments:
        yield _part(one, "segment", part.guess, start=part.start, end=part.end)
    for frame in one.frames:
        yield _part(one, "frame", frame.guess, start=frame.seconds, frame=frame.frame)


def _part(one: Result, kind: str, guess: Guess, **more: Any) -> dict[str, Any]:
    return {
        "file": one.file,
        "kind": kind,
        "class": guess.name,
        "probability": guess.probability,
        "guesses": (),
        **more,
    }


def _further(guesses: tuple[Guess, ...], place: int) -> str:
    if len(guesses) < place:
        return ""
    guess = guesses[place - 1]
    return f"{guess.name} {guess.probability:.3f}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f}:{rest:04.1f}"
