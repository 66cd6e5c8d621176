"""All checks of a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.audit import CHECKS
from harness.audit.backbone import compute_features
from harness.audit.examine import examine
from harness.audit.facts import Facts
from harness.audit.features import known_images
from harness.audit.finding import SEVERITIES, Finding, Severity
from harness.data.sentences import as_text
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig
from harness.records import Progress

SUSPECT = "suspect"
FEW = 200_000
"""Images times classes up to which labels are doubted without being asked to: it takes about a minute."""


@dataclass(frozen=True, slots=True)
class Audit:
    """A data set, and what was found."""

    facts: Facts
    findings: tuple[tuple[str, Finding], ...]
    """The name of the check and what it says, the gravest first."""
    clean: tuple[str, ...]
    """Names of the checks that found nothing."""
    notes: tuple[str, ...]
    """Sentences about how the source is taken, and about what was not looked for."""

    def number(self, severity: Severity) -> int:
        """How many findings are so grave."""
        return sum(finding.severity == severity for _, finding in self.findings)


def audit(
    config: DatasetConfig,
    seed: int,
    *,
    suspects: bool | None,
    progress: Progress,
    tell: Callable[[str], object],
) -> Audit:
    """Look at every image or clip, and say what may be wrong.

    Args:
        config: the `dataset` section of an experiment.
        seed: decides the validation split.
        suspects: whether to look for images that seem to be mislabelled; None: where that takes no more than
            a minute.
        progress: told how far long steps are.
        tell: told sentences about what is about to be done.

    Raises:
        DataError: there is nothing that could be looked at, or mislabelled clips are to be looked for.
    """
    facts = examine(config, seed, progress)
    notes, wanted = [*facts.said], dict(CHECKS)
    if facts.frames:
        if suspects:
            raise DataError("Wrong labels are looked for among images; leave --suspects out, for clips.")
        left_out = [name for name, check in CHECKS.items() if check.images_only]
        wanted = {name: check for name, check in CHECKS.items() if name not in left_out}
        notes.append(f"Left out, for these are checks of images alone: {', '.join(left_out)}.")
    elif suspects is None and len(known_images(facts)) * len(facts.classes) > FEW:
        notes.append("Wrong labels were not looked for, since that takes minutes here: --suspects does it.")
        suspects = False
    if suspects is False:
        wanted.pop(SUSPECT, None)
    elif SUSPECT in wanted:
        notes += compute_features(facts, patient=bool(suspects), progress=progress, tell=tell)
    found = {name: check.find(facts, progress) for name, check in wanted.items()}
    in_order = sorted(
        ((name, finding) for name, findings in found.items() for finding in findings),
        key=lambda one: SEVERITIES.index(one[1].severity),
    )
    return Audit(
        facts=facts,
        findings=tuple(in_order),
        clean=tuple(name for name, findings in found.items() if not findings),
        notes=tuple(map(as_text, notes)),
    )
