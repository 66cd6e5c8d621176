"""What is decided for every network alike: how images are held out, and what makes a trial better."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.audit.classes import IMBALANCE
from harness.data.sentences import counted
from harness.proposal.decision import Decision, in_words
from harness.proposal.survey import Survey

FEW = 5
"""Images of a class below which a score says little."""
MANY = 10_000
"""Training images from which a tenth is enough to hold out."""
FEW_VALIDATION = 300
"""Validation images below which one of them counts for too much: folds judge by all of the images."""
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Division:
    """How many images are trained on, and which shares of the training images are held out."""

    train: int
    """Images that are left to train on, about."""
    validation: int
    validation_fraction: float
    test_fraction: float
    folds: int = 0
    """Folds, of each of which `train` and `validation` tell; 0: there is one validation split."""

    @property
    def trainings(self) -> int:
        """How often a configuration is trained that is never left behind."""
        return self.folds + 1 if self.folds else 1


def divided(survey: Survey) -> Division:
    """How the images are divided, with what the source brings and what the user says."""
    config, brought = survey.config, survey.counts["train"]
    many = brought >= MANY
    said = config.model_fields_set
    test = config.test_fraction if "test_fraction" in said or not many else 0.1
    validation = config.validation_fraction if "validation_fraction" in said or not many else 0.1
    left = brought if "test" in survey.counts else brought - round(test * brought)
    if config.limit_train is not None:
        left = min(left, config.limit_train)
    held = survey.counts.get("validation")
    folds = config.folds or 0
    if held is None:
        held = round(validation * left)
        if held < FEW_VALIDATION and not said & {"folds", "validation_fraction"} and left >= FOLDS:
            folds = FOLDS
        if folds:
            held = round(left / folds)
        left -= held
    return Division(max(1, left), held, validation, test, folds * config.repeats)


def division_decisions(survey: Survey, division: Division) -> list[Decision]:
    """What is held out, where the source does not bring the splits itself."""
    found = []
    said = survey.config.model_fields_set
    share = "A tenth is enough of so many" if survey.counts["train"] >= MANY else "The usual share"
    name, fewest = survey.fewest
    validated = counted(division.validation, survey.noun)
    rare = f" The rarest class, {name}, has {counted(fewest, survey.noun)}." if fewest < 10 * FEW else ""
    if division.folds and "folds" not in said:
        found.append(
            Decision(
                "dataset.folds",
                division.folds,
                f"A validation split would have only about {validated}, each of them "
                f"{100 / max(1, division.validation):.1f} points of accuracy. So trials are trained "
                f"{division.folds} times, validated on another part each time, and compared by the mean; the "
                f"best is then trained on all of these {survey.noun}s.{rare}",
            )
        )
    elif "validation" not in survey.counts and "validation_fraction" not in said and not division.folds:
        found.append(
            Decision(
                "dataset.validation_fraction",
                division.validation_fraction,
                f"{share}: about {validated} that trials are compared by. The "
                f"data set brings no validation split of its own.{rare}",
            )
        )
    if "test" not in survey.counts and "test_fraction" not in said:
        held = round(division.test_fraction * survey.counts["train"])
        found.append(
            Decision(
                "dataset.test_fraction",
                division.test_fraction,
                f"{share}: about {counted(held, survey.noun)}, sealed until the end. The data set brings no "
                "test split of its own.",
            )
        )
    return found


def rungs(division: Division, first: int, reduction: int, listed: str) -> list[Decision]:
    """Where trials are compared: at these epochs; with folds at their ends, of which nothing need be said.

    Args:
        division: of the images.
        first: the first epoch at which they are compared.
        reduction: one in so many goes on.
        listed: all of these epochs, in words.
    """
    if division.folds:
        return []
    return [
        Decision("scheduler.kind", "asha"),
        Decision(
            "scheduler.min_epochs",
            first,
            f"Trials are compared after {listed} epochs; one in {reduction} goes on from each.",
        ),
        Decision("scheduler.reduction", reduction),
    ]


def is_imbalanced(survey: Survey) -> bool:
    """Whether accuracy would reward ignoring rare classes."""
    return survey.most[1] >= IMBALANCE * survey.fewest[1]


def objective(survey: Survey) -> Decision:
    """What makes a trial better than another."""
    (rare, fewest), (common, most) = survey.fewest, survey.most
    if is_imbalanced(survey):
        return Decision(
            "objectives",
            [{"metric": "val_f1_macro"}],
            f"Classes differ much in size ({common}: {counted(most, survey.noun)}, {rare}: {fewest:,}), so "
            "that accuracy would reward ignoring the rare ones; macro F1 counts every class alike.",
        )
    return Decision(
        "objectives",
        [{"metric": "val_accuracy"}],
        f"Classes are of about the same size ({fewest:,} to {counted(most, survey.noun)})."
        if most > fewest
        else f"All classes have {counted(most, survey.noun)}.",
    )


def balance(survey: Survey) -> list[Decision]:
    """What is tried against rare classes, if there are any."""
    if not is_imbalanced(survey):
        return []
    return [
        Decision(
            "space.balance",
            ["none", "class_weights", "sampling"],
            "What may help rare classes: a higher weight in the loss, or being drawn more often.",
        )
    ]


def timeout(seconds: float, limit: float | None, more: str = "") -> Decision:
    """How long the search may take.

    Args:
        seconds: as many as it needs.
        limit: as the user gives it, infinity if there is to be none; None if they say nothing.
        more: what else should be said.
    """
    if limit is not None and math.isinf(limit):
        return Decision("search.timeout", None, "No time limit, as given.")
    found = seconds if limit is None else limit
    return Decision(
        "search.timeout",
        int(found) if found == int(found) else found,
        f"{in_words(found).capitalize()} in all{', as given' if limit is not None else ''}, from the start "
        f"of the command to its end{more}. More time, more trials: --timeout SECONDS.",
    )


def warnings(survey: Survey) -> list[str]:
    """What the user should know of the data before anything is trained."""
    few = [name for name, count in survey.class_counts.items() if count < FEW]
    if not few:
        return []
    name, fewest = survey.fewest
    return [
        f"{counted(len(few), 'class has', 'classes have')} fewer than {FEW} training {survey.noun}s "
        f"({name}: {fewest}): what is measured of so few says little. Add {survey.noun}s if you can."
    ]
