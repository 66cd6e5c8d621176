"""An audit as data, for `--json` and for programs."""

from __future__ import annotations

from typing import Any

from harness.audit import CHECKS
from harness.audit.audit import Audit
from harness.audit.facts import Facts
from harness.audit.finding import Finding


def described(audit: Audit) -> dict[str, Any]:
    """Everything that was found: JSON-serialisable."""
    facts = audit.facts
    return {
        "source": facts.config.source,
        "name": facts.name,
        "images": len(facts.images),
        "image_shape": list(facts.image_shape),
        "frames": facts.frames or None,
        "digest": facts.dataset.digest if facts.dataset else None,
        "splits": facts.dataset.counts if facts.dataset else None,
        "classes": {name: dict(counts) for name, counts in facts.counts().items()},
        "findings": [_finding(facts, check, finding) for check, finding in audit.findings],
        "found_nothing": list(audit.clean),
        "notes": list(audit.notes),
    }


def _finding(facts: Facts, check: str, finding: Finding) -> dict[str, Any]:
    return {
        "check": check,
        "about": CHECKS[check].about,
        "severity": finding.severity,
        "sentence": finding.sentence,
        "count": finding.count,
        "groups": [
            {"remark": group.remark, "images": [_image(facts, number) for number in group.images]}
            for group in finding.groups
        ],
        "files": list(finding.files),
    }


def _image(facts: Facts, number: int) -> dict[str, Any]:
    image = facts.images[number]
    return {
        "name": image.name,
        "path": str(image.path) if image.path is not None else None,
        "label": facts.label(number),
        "split": image.part or None,
    }
