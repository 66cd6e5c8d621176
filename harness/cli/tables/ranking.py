"""The leaderboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cli.tables.columns import column, print_columns

if TYPE_CHECKING:
    from harness.analysis.tables import Ranking

DETAILS = ("val_precision_macro", "val_recall_macro", "images_needed")
"""Columns that only JSON and CSV have."""
IMPORTANCE = {
    **dict.fromkeys(("rank", "trial", "state", "score", "tied", "pareto"), 0),
    **dict.fromkeys(
        ("standard_error", "folds", "epochs", "family", "depth", "width", "optimizer", "learning_rate"), 1
    ),
    "reason": 3,
    **dict.fromkeys(("seconds", "parameters"), 4),
    **dict.fromkeys(("val_accuracy", "val_loss", "val_f1_macro"), 5),
}
"""The `importance` of each column, by name, as `harness.cli.tables.columns.Column` explains it."""
OTHER_PARAMETERS = 2
"""The importance of the space's parameters that are not named above."""
LEAST_TEXT = {"reason": 24, "state": 8}
"""Characters to which columns may be shortened."""


def print_ranking(ranked: Ranking, objectives: list[str]) -> None:
    """Print a leaderboard for people, with fewer digits and columns than there are.

    Args:
        ranked: the leaderboard.
        objectives: columns that are as important as the score.
    """
    print_columns(
        [
            column(
                name,
                [row[name] for row in ranked.rows],
                importance=0 if name in objectives else IMPORTANCE.get(name, OTHER_PARAMETERS),
                least=LEAST_TEXT.get(name),
            )
            for name in ranked.columns
            if name not in DETAILS or name in objectives
        ],
        elsewhere="--csv and --json",
    )
