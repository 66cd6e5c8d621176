"""What a confirmation has found, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cli.tables.columns import column, print_columns
from harness.cli.tables.lines import figure, print_text
from harness.messages import and_list

if TYPE_CHECKING:
    from harness.comparison.seeds import Interval
    from harness.confirmation.champion import Champion
    from harness.confirmation.results import Confirmed, Findings
    from harness.confirmation.tested import Tested

UNKNOWN = "–"


def print_findings(found: Findings, tested: Tested | None, noun: str) -> None:
    """Print a row for each configuration, then what is to be said of the chosen one.

    Args:
        found: by the validation scores.
        tested: the chosen one's model on the test images; None if it was not evaluated.
        noun: what one of the images is called.
    """
    rows = found.configurations
    names = list(dict.fromkeys(name for row in rows for name in row.differs))
    print_columns(
        [
            column("trial", [row.trial for row in rows]),
            column("verdict", [row.verdict for row in rows]),
            column("seeds", [len(row.scores) for row in rows]),
            column(found.objective, [_mean(row) for row in rows]),
            column("behind the best", [_behind(row) for row in rows], importance=1),
            column("in the sweep", [row.sweep_score for row in rows], importance=2),
            column("parameters", [row.parameters for row in rows], importance=4),
            *(column(name, [row.differs.get(name) for row in rows], importance=3) for name in names),
        ],
        elsewhere="--json",
    )
    sentences = [verdict_sentence(found), tested_sentence(tested, noun), luck_sentence(found, noun)]
    for sentence in filter(None, sentences):
        print()
        print_text(sentence)


def verdict_sentence(found: Findings) -> str:
    """Which configuration is the best, or which are tied; empty while that is not known."""
    if found.complete and found.chosen is None:
        return f"No configuration was trained to its end on all {found.seeds} seeds, so that none is chosen."
    if found.chosen is None or found.chosen_interval is None:
        return ""
    chosen = next(row for row in found.configurations if row.trial == found.chosen)
    score = f"{found.objective} {_number(chosen.mean)} over {len(chosen.scores)} seeds"
    covered = f"{_range(found.chosen_interval)} at 95 %"
    if len(found.configurations) == 1:
        return f"Trial {found.chosen} of {found.study}: {score} ({covered})."
    covered = f"{covered}, allowing for the choice among {len(found.configurations)}"
    if found.declared:
        return f"Trial {found.chosen} of {found.study} is the best: {score} ({covered})."
    tied = and_list([f"{trial}" for trial in sorted(found.tied)])
    return (
        f"Trials {tied} of {found.study} are tied: {found.seeds} seeds cannot tell them apart. Of them trial "
        f"{found.chosen} is chosen, which has the best mean: {score} ({covered})."
    )


def tested_sentence(tested: Tested | None, noun: str) -> str:
    """What its model is worth on the test images; empty if that is not known."""
    if tested is None:
        return ""
    other = "" if tested.metric == "accuracy" else f", {tested.metric} {tested.value:.4f}"
    times = "once" if tested.openings == 1 else f"{tested.openings} times"
    before = f", and {tested.earlier} times for models of the sweep" if tested.earlier > 1 else ""
    before = ", and once for a model of the sweep" if tested.earlier == 1 else before
    return (
        f"Test: accuracy {tested.accuracy:.4f} ({_range(tested.interval)} at 95 %) on {tested.images:,} "
        f"{noun}s{other}, by the model of the seed in the middle. The test set was opened {times}{before}."
    )


def luck_sentence(found: Findings, noun: str) -> str:
    """How much of the sweep's best score was luck; empty if that is not known."""
    luck = found.luck
    if luck is None:
        return ""
    return (
        f"Selection bias: in the sweep, trial {luck.trial} had {found.objective} {_number(luck.score)}; on "
        f"{luck.seeds} fresh seeds the same configuration has {_number(luck.mean)} on the same validation "
        f"{noun}s. So {_number(luck.bias)} of the sweep's best score was luck ({_number(luck.low)} to "
        f"{_number(luck.high)} at 95 %)."
    )


def champion_sentence(champion: Champion) -> str:
    """The champion in one line, for tables of the study that was confirmed."""
    found = champion.found
    others = [f"{trial}" for trial in sorted(found.tied) if trial != found.chosen]
    how = f"tied with {and_list(others)}" if others else "the best by its seeds"
    how = how if len(found.configurations) > 1 else "the only one confirmed"
    row = next(one for one in found.configurations if one.trial == found.chosen)
    test = f", test accuracy {champion.tested.accuracy:.4f}" if champion.tested else ""
    return (
        f"champion  trial {found.chosen} ({how}): {found.objective} {_mean(row)} over {len(row.scores)} "
        f"fresh seeds{test}; see: harness confirm {found.study}"
    )


def _mean(row: Confirmed) -> str:
    if row.mean is None:
        return UNKNOWN
    if row.interval is None:
        return _number(row.mean)
    return f"{_number(row.mean)} ± {_number((row.interval.high - row.interval.low) / 2)}"


def _behind(row: Confirmed) -> str:
    if row.behind is None:
        return UNKNOWN
    return f"{_number(row.behind.value)} ({_number(row.behind.low)} to {_number(row.behind.high)})"


def _range(interval: Interval) -> str:
    return f"{_number(interval.low)} to {_number(interval.high)}"


def _number(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:.4f}" if abs(value) < 1000 else figure(value)
