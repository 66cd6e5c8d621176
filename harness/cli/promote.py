"""`harness promote`."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from harness.cli.options import JsonOption


class Alias(enum.StrEnum):
    """What a version can be promoted to."""

    CHALLENGER = "challenger"
    CHAMPION = "champion"


def promote(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A bundle (a folder, or a .zip of it), a study, the id of a trial's run in MLflow, or a "
            "model there, such as models:/pets@challenger; by default the study last active."
        ),
    ] = None,
    alias: Annotated[
        Alias | None,
        typer.Option(
            "--alias",
            help="champion: only if it is better than the present champion by more than noise, on images "
            "that neither was trained on.  \\[default: challenger]",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="MODEL", help="The registered model.  \\[default: the data set's name]"
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make it champion though it is not shown to be better.")
    ] = False,
    rollback: Annotated[
        bool,
        typer.Option("--rollback", help="Give the alias champion back to the version that had it before."),
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Register a model in MLflow's registry, as challenger of the champion or in its place.

    What is printed is the version's address, which `harness predict`, `harness serve` and `mlflow models
    serve` take.
    """
    from harness.errors import UsageError

    if name is not None:
        _check_name(name)
    if rollback:
        if alias is not None or force:
            raise UsageError("--rollback goes with --name or a model alone; leave --alias and --force out.")
        _roll_back(model, name, as_json=json_)
        return
    wanted = alias or Alias.CHALLENGER
    if force and wanted is not Alias.CHAMPION:
        raise UsageError("--force makes a model champion: add --alias champion, or leave it out.")
    _promote(model, wanted, name, force=force, as_json=json_)


def _promote(model: str | None, alias: Alias, name: str | None, *, force: bool, as_json: bool) -> None:
    from dataclasses import asdict

    from harness.cli.tables import print_json
    from harness.paths import tracking_uri
    from harness.promotion.candidate import candidate_at
    from harness.promotion.promote import promote as promoted
    from harness.tracking.mlflow_registry import Registry

    candidate = candidate_at(model)
    done = promoted(
        candidate,
        Registry(tracking_uri()),
        alias=alias.value,
        name=name or candidate.usual_name,
        force=force,
        tell=_tell,
    )
    version = done.version
    if done.before == version.number:
        _tell(f"{candidate.source.name} is {version.address}, which is the {alias} already.")
    else:
        instead = f", in the place of version {done.before}" if done.before else ""
        first = " There was no champion yet." if alias is Alias.CHAMPION and not done.before else ""
        _tell(f"{candidate.source.name} is {version.address}, the {alias} of {version.name}{instead}.{first}")
    if as_json:
        compared = done.comparison
        figures = (
            asdict(compared) | {"difference": compared.difference, "is_better": compared.is_better}
            if compared
            else None
        )
        print_json(
            {
                "name": version.name,
                "version": version.number,
                "alias": alias.value,
                "before": done.before,
                "why": done.why,
                "comparison": figures,
                "tags": dict(version.tags),
            }
        )
    else:
        print(version.address)


def _roll_back(model: str | None, name: str | None, *, as_json: bool) -> None:
    from harness.cli.tables import print_json
    from harness.errors import PromotionError, UsageError
    from harness.paths import tracking_uri
    from harness.promotion.candidate import candidate_at
    from harness.promotion.history import roll_back
    from harness.tracking.mlflow_registry import Registry
    from harness.tracking.sqlite_file import is_missing

    if name is not None and model is not None:
        raise UsageError("--name says which registered model it is; leave the model out.")
    registered, uri = name or candidate_at(model).usual_name, tracking_uri()
    if is_missing(uri):  # which it is not made for
        raise PromotionError(f"MLflow has no registered model {registered}: there is no store at {uri} yet.")
    done = roll_back(Registry(uri), registered)
    version = done.version
    instead = f", in the place of version {done.before}" if done.before else ""
    _tell(f"{version.address} is the champion of {version.name} again{instead}.")
    if as_json:
        print_json({"name": version.name, "version": version.number, "before": done.before})
    else:
        print(version.address)


def _check_name(name: str) -> None:
    import re

    from harness.errors import UsageError
    from harness.messages import shown

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise UsageError(
            f"A registered model cannot be called {shown(name)}; use letters, digits, '.', '_' and '-' with "
            "--name."
        )


def _tell(sentence: str) -> None:
    from harness.cli import printable

    typer.echo(printable(sentence), err=True)
