"""An audit as one self-contained HTML page with thumbnails: no script, no network."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from harness.audit import CHECKS
from harness.audit.audit import Audit
from harness.audit.finding import Group
from harness.audit.thumbnails import data_uri
from harness.paths import write_text

GROUPS = 50
"""Groups of images that are shown of a finding."""
OF_GROUP = 8
"""Images that are shown of a group."""
THUMBNAILS = 500
"""On the whole page: a few KiB each."""
FILES = 100
"""Names of files that are shown of a finding."""
CLASSES = 200


@dataclass(frozen=True, slots=True)
class Shown:
    """An image on the page."""

    name: str
    label: str
    split: str
    thumbnail: str
    """A `data:` URI; empty if there is none."""


def write_page(audit: Audit, target: Path) -> None:
    """Write the page; raises OSError where that cannot be done."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    facts, thumbnails = audit.facts, _Thumbnails(audit)
    counts = facts.counts()
    parts = [part for part in ("train", "validation", "test") if any(one[part] for one in counts.values())]
    page = environment.get_template("page.html.jinja").render(
        facts=facts,
        shape="×".join(map(str, facts.example_shape)),
        parts=parts,
        classes=[(name, [counts[name][part] for part in parts]) for name in facts.classes[:CLASSES]],
        more_classes=max(0, len(facts.classes) - CLASSES),
        findings=[
            {
                "check": check,
                "about": CHECKS[check].about,
                "severity": finding.severity,
                "sentence": finding.sentence,
                "groups": [(group.remark, *thumbnails.of(group)) for group in finding.groups[:GROUPS]],
                "more_groups": max(0, len(finding.groups) - GROUPS),
                "files": finding.files[:FILES],
                "more_files": max(0, len(finding.files) - FILES),
            }
            for check, finding in audit.findings
        ],
        clean=[CHECKS[name].about for name in audit.clean],
        notes=audit.notes,
        made=time.strftime("%Y-%m-%d %H:%M"),
    )
    write_text(target, page)


class _Thumbnails:
    """Makes thumbnails until there are enough on the page; an image that comes again has the same one."""

    def __init__(self, audit: Audit) -> None:
        self._facts = audit.facts
        self._made: dict[int, str] = {}

    def of(self, group: Group) -> tuple[list[Shown], int]:
        """The images of a group that are shown, and how many more there are."""
        shown = [self._shown(number) for number in group.images[:OF_GROUP]]
        return shown, max(0, len(group.images) - OF_GROUP)

    def _shown(self, number: int) -> Shown:
        image = self._facts.images[number]
        if number not in self._made and not image.failure and len(self._made) < THUMBNAILS:
            self._made[number] = data_uri(self._facts, number)
        return Shown(image.name, self._facts.label(number), image.part, self._made.get(number, ""))
