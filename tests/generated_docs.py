"""The tables in docs/ that list what is registered, written from the registries.

    python -m tests.generated_docs

writes every table between `<!-- NAME -->` and `<!-- end of NAME -->` anew; `tests/test_docs.py` fails while
one of them says something else than its registry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from harness.audit import CHECKS
from harness.data.catalog import CATALOG as CATALOG_OF_SETS
from harness.data.sources import SOURCES
from harness.deploy.formats import FORMATS
from harness.experiment.parameters import CATALOG, DEFAULTS_BY, PLUGIN
from harness.experiment.samplers import SAMPLERS
from harness.metrics import MEASURES, METRICS, VALIDATION
from harness.model.backbones import BACKBONES
from harness.model.families import FAMILIES
from harness.model.parameter import Parameter
from harness.schedulers import SCHEDULERS
from harness.schedulers.kind import SchedulerSettings

ROOT = Path(__file__).parent.parent


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head), ["---"] * len(list(head)), *map(list, rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def parameters() -> str:
    """Every hyper-parameter."""
    return table(
        ("parameter", "values", "default", "families", "what it is"),
        (
            (
                f"`{one.name}`",
                _values(one),
                DEFAULTS_BY.get(one.name, _written(one.default)),
                "all" if set(one.families) >= set(FAMILIES) else ", ".join(_built_in(one)),
                one.about,
            )
            for one in CATALOG.values()
        ),
    )


def _built_in(parameter: Parameter) -> list[str]:
    return [family for family in parameter.families if family != PLUGIN]


def _values(parameter: Parameter) -> str:
    if parameter.kind == "bool":
        return "true, false"
    if parameter.choices:
        return ", ".join(map(str, parameter.choices))
    return f"{parameter.low:g} to {parameter.high:g}"


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def families() -> str:
    """Every model family."""
    return table(("family", "what it is"), ((f"`{name}`", one.about) for name, one in FAMILIES.items()))


def backbones() -> str:
    """Every backbone."""
    return table(
        ("backbone", "what it is", "sides it was trained with", "weights come from", "their licence"),
        (
            (f"`{name}`", one.about, ", ".join(map(str, one.sizes)), one.source, one.licence)
            for name, one in BACKBONES.items()
        ),
    )


def metrics() -> str:
    """Every metric and measure that an objective may name."""
    scores = (
        (f"`{VALIDATION}{name}`", "maximize" if one.maximize else "minimize", one.about)
        for name, one in METRICS.items()
    )
    measures = ((f"`{name}`", "minimize", about) for name, about in MEASURES.items())
    return table(("metric", "direction", "what it is"), (*scores, *measures))


def samplers() -> str:
    """Every sampler."""
    return table(
        ("sampler", "what it is", "needs"),
        ((f"`{name}`", one.about, one.package) for name, one in SAMPLERS.items()),
    )


def schedulers() -> str:
    """Every scheduler with its keys."""
    return table(
        ("scheduler", "what it does", "keys and defaults"),
        (
            (
                f"`{name}`",
                one.about,
                ", ".join(
                    f"`{key}: {'null' if field.default is None else field.default}`"
                    for key, field in one.settings.model_fields.items()
                    if key not in SchedulerSettings.model_fields
                ),
            )
            for name, one in SCHEDULERS.items()
        ),
    )


def sources() -> str:
    """Every kind of data set."""
    return table(
        ("a data set is given as", "what it is"), ((one.given, one.about) for one in SOURCES.values())
    )


def built_in_sets() -> str:
    """Every data set that is known by name."""
    rows = ((f"`{name}`", one.about) for name, one in CATALOG_OF_SETS.items())
    return table(("name", "what it is"), rows)


def checks() -> str:
    """Every check of a data set."""
    return table(
        ("check", "what it looks for", "of clips"),
        ((f"`{name}`", one.about, "" if one.images_only else "✓") for name, one in CHECKS.items()),
    )


def formats() -> str:
    """Every format of exported models."""
    return table(
        ("`--formats`", "file", "what it is", "needs"),
        (
            (f"`{name}`", f"`{one.file}`", one.about, f"`harness[{one.extra}]`" if one.extra else "")
            for name, one in FORMATS.items()
        ),
    )


TABLES: dict[str, Callable[[], str]] = {
    "parameters": parameters,
    "families": families,
    "backbones": backbones,
    "metrics": metrics,
    "samplers": samplers,
    "schedulers": schedulers,
    "sources": sources,
    "built-in data sets": built_in_sets,
    "checks": checks,
    "formats": formats,
}


def documents() -> list[Path]:
    """README and everything in docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def with_tables(text: str) -> str:
    """The text with every table as its registry says it."""
    for name, made in TABLES.items():
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)",
            lambda found, made=made: f"{found[1]}\n{made()}\n{found[2]}",  # type: ignore[misc]
            text,
            flags=re.DOTALL,
        )
    return text


def main() -> None:
    """Write every table anew."""
    for file in documents():
        before = file.read_text(encoding="utf-8")
        after = with_tables(before)
        if after != before:
            file.write_text(after, encoding="utf-8")
            print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()
