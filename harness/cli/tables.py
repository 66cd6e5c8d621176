"""Tables and records on standard output: for people, as JSON, or as CSV."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cli import printable

if TYPE_CHECKING:
    from harness.analysis.status import Status
    from harness.analysis.tables import Ranking
    from harness.analysis.verify import Check
    from harness.experiment.schema import Experiment
    from harness.paths import StudyPaths
    from harness.records import Evaluation
    from harness.sweep.history import TrialHistory

SMALL_CONFUSION = 20
"""Classes up to which a confusion matrix is printed."""
WIDE = 10_000
DETAILS = ("val_precision_macro", "val_recall_macro")
"""Columns of the leaderboard that only JSON and CSV have: a line should fit a screen."""


def print_ranking(ranked: Ranking) -> None:
    """A leaderboard for people, with fewer digits and columns than there are."""
    columns = []
    for name in ranked.columns:
        if name not in DETAILS:
            values = [row[name] for row in ranked.rows]
            cells = [name, *(_cell(name, value) for value in values)]
            columns.append(_aligned(cells, right=_is_numeric(values)))
    # Rich's own tables take a millisecond a row.
    head, *lines = ("  ".join(cells).rstrip() for cells in zip(*columns, strict=True))
    _console().print(Text(head, style="bold"))
    for line in lines:
        print(line)


def _is_numeric(values: Iterable[Any]) -> bool:
    kinds = {type(value) for value in values} - {type(None)}
    return bool(kinds) and kinds <= {int, float}


def _aligned(cells: list[str], *, right: bool) -> list[str]:
    """A column's cells, equally wide on a screen."""
    cells = [cell if cell.isprintable() else printable(cell).replace("\n", " ") for cell in cells]
    lengths = [len(cell) if cell.isascii() else cell_len(cell) for cell in cells]
    width = max(lengths)
    gaps = [" " * (width - length) for length in lengths]
    return [gap + cell if right else cell + gap for cell, gap in zip(cells, gaps, strict=True)]


def print_json(value: Any) -> None:
    """Strict JSON with every digit: what is not a finite number becomes null."""
    print(json.dumps(_strict(value), ensure_ascii=False, allow_nan=False))


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _strict(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_status(paths: StudyPaths, found: Status, *, as_json: bool) -> None:
    """A study in a few lines."""
    if as_json:
        print_json(asdict(found))
        return
    states = ", ".join(f"{count} {state}" for state, count in found.states.items())
    seen = sum(found.states.values())
    if found.running:
        standing = f"run by {found.running}, last word {_ago(found.idle)}"
    elif found.ended is None:
        standing = f"not running: it was cut off, last word {_ago(found.idle)}"
    else:
        standing = f"ended: {found.ended}" if found.complete else f"can be resumed: {found.ended}"
    lines = {
        "study": f"{found.study}  ({found.experiment} on {found.dataset})",
        "trials": f"{seen} of {found.trials}  ({states or 'none yet'})",
        "epochs": f"{found.epochs:,}",
        "best": "no trial is complete yet"
        if found.best_score is None
        else f"trial {found.best_trial}: {found.objective} {found.best_score:.4f}",
        "time": f"{_ago(found.elapsed)[:-4]} in {found.sessions} session{'s' * (found.sessions != 1)}",
        "state": standing,
        "folder": str(paths.folder),
    }
    if found.next:
        lines["next"] = found.next
    for trial, reason in found.failures.items():
        lines[f"trial {trial}"] = f"failed ({reason.replace(': ', '): ', 1)}"
    _print_pairs(lines)


def print_plan(
    experiment: Experiment, data: str, rows: list[dict[str, str]], size: int | None, rungs: list[int]
) -> None:
    """What a sweep would do."""
    _print_pairs(
        {
            "experiment": experiment.name,
            "data": data,
            "objective": f"{experiment.objective.direction} {experiment.objective.metric}",
            "trials": f"{experiment.search.trials}, chosen by {experiment.search.sampler}",
            "rungs": f"{_epochs(rungs)} ({experiment.scheduler.kind})",
            "space": "continuous" if size is None else f"{size:,} configurations",
        }
    )
    print()
    table = _plain_table("parameter")
    for name in ("values", "when", "about"):
        table.add_column(name)
    for row in rows:
        table.add_row(*row.values())
    _console().print(table)


def print_checks(checks: list[Check]) -> None:
    """What holds and what does not."""
    for check in checks:
        print(f"{check.name}  {'ok' if not check.problems else 'NOT OK'}  {check.about}")
        for problem in check.problems:
            print(f"    {problem}")
        for note in check.notes:
            print(f"    note: {note}")


def print_trial(trial: TrialHistory, *, as_json: bool) -> None:
    """One trial in full."""
    if as_json:
        print_json(asdict(trial))
        return
    score = "–" if trial.score is None else f"{trial.score:.4f}"
    _print_pairs(
        {
            "trial": str(trial.number),
            "state": trial.state + (f" ({trial.reason})" if trial.reason else ""),
            "score": score,
            "seed": str(trial.seed),
            "attempts": str(trial.attempts),
            "seconds": f"{trial.seconds:.1f}",
            **({"model": trial.model.file} if trial.model else {}),
        }
    )
    print()
    _print_pairs({name: _text(value) for name, value in trial.params.items()})
    if trial.epochs:
        print()
        names = list(next(iter(trial.epochs.values())))
        table = _plain_table("epoch", *names)
        for epoch, metrics in sorted(trial.epochs.items()):
            table.add_row(str(epoch), *(_cell(name, metrics.get(name)) for name in names))
        _console().print(table)
    for evaluation in trial.evaluations:
        print()
        _print_evaluation(evaluation)
    if trial.traceback:
        print()
        print(trial.traceback)


def print_evaluation(trial: TrialHistory, *, as_json: bool) -> None:
    """How the model does on every split it was evaluated on."""
    if as_json:
        print_json({evaluation.split: asdict(evaluation) for evaluation in trial.evaluations})
        return
    for index, evaluation in enumerate(trial.evaluations):
        if index:
            print()
        _print_evaluation(evaluation)


def _print_evaluation(evaluation: Evaluation) -> None:
    console = _console()
    figures = "  ".join(f"{name} {value:.4f}" for name, value in evaluation.metrics.items())
    print(f"{evaluation.split}: {figures}")
    table = _plain_table("class", "precision", "recall", "f1", "support")
    for row in evaluation.per_class:
        table.add_row(
            str(row["class"]),
            # Of a class without any image in the split nothing is known.
            *(f"{row[key]:.3f}" if row["support"] else "–" for key in ("precision", "recall", "f1")),
            str(row["support"]),
        )
    console.print(table)
    if len(evaluation.per_class) <= SMALL_CONFUSION:
        names = [str(row["class"]) for row in evaluation.per_class]
        matrix = _plain_table("true \\ predicted", *names)
        for name, counts in zip(names, evaluation.confusion, strict=True):
            matrix.add_row(name, *map(str, counts))
        console.print(matrix)


def _plain_table(first: str, *rest: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in rest:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _print_pairs(pairs: dict[str, str]) -> None:
    width = max(map(len, pairs))
    for name, value in pairs.items():
        print(f"{name:<{width}}  {value}")


def _console() -> Console:
    """Whole tables, however narrow the terminal: cut columns would hide the best."""
    return Console(highlight=False, width=WIDE, soft_wrap=True)


def _cell(name: object, value: Any) -> str:
    if value is None or value != value:  # NaN is not equal to itself  # noqa: PLR0124
        return "–"
    if name == "seconds":
        return f"{value:.1f}"
    if type(value) is float:
        return _text(value)
    if name == "pareto":
        return "yes" if value else ""
    return str(value)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if 0.001 <= abs(value) < 1000 else f"{value:.3g}"
    return str(value)


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit} ago"
    return f"{seconds:.0f} s ago"


def _epochs(rungs: list[int]) -> str:
    if len(rungs) > 2 and rungs == list(range(rungs[0], rungs[-1] + 1)):
        return f"every epoch from {rungs[0]} to {rungs[-1]}"
    return f"epochs {', '.join(map(str, rungs))}"
