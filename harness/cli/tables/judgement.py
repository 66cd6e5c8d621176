"""What the validation images say of one trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cli.tables.lines import figure, print_text

if TYPE_CHECKING:
    from harness.analysis.bootstrap import Interval
    from harness.analysis.calibration import Calibration
    from harness.analysis.image_by_image import AgainstBest, ImageByImage


def interval_text(interval: Interval | None) -> str:
    """Both ends of an interval; a dash if there is none."""
    return "–" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}"


def print_judgement(judged: ImageByImage, objective: str, noun: str) -> None:
    """Print the calibration, and how the trial compares with the best one.

    Args:
        judged: the trial.
        objective: the metric by which trials are ranked.
        noun: what one of the images is called.
    """
    print_text(_calibration(judged.calibration), "calibration  ")
    if judged.against_best is not None:
        print_text(_against(judged.against_best, objective, noun), "comparison  ")


def _calibration(found: Calibration) -> str:
    if found.temperature is None:
        return f"error {found.error:.3f} (ECE, {len(found.bins)} bins)"
    how = "overconfident" if found.temperature > 1 else "underconfident"
    return (
        f"error {found.error:.3f} (ECE, {len(found.bins)} bins): {how}; with a temperature of "
        f"{found.temperature:.2f} it would be {found.error_after:.3f}"
    )


def _against(found: AgainstBest, objective: str, noun: str) -> str:
    test = found.test
    needed = (
        "they do not differ on the whole"
        if found.images_needed is None
        else f"some {found.images_needed:,} {noun}s would tell the two apart if they differ as on these"
    )
    where = f"95 %: {interval_text(found.interval)} over other {noun}s"
    return (
        f"with the best, trial {found.best}: {objective} differs by {figure(found.difference)} ({where}); "
        f"right in {test.only_first} {noun}s that the best gets wrong, wrong in {test.only_second} that it "
        f"gets right (McNemar's exact test: p = {test.p:.2g}); {needed}"
    )
