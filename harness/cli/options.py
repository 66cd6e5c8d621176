"""Options and arguments that several commands share."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

from harness.experiment.overrides import NO_LIMIT

ExperimentArgument = Annotated[
    str,
    typer.Argument(
        help="A built-in experiment (baseline, cifar10, cifar10-fast, families, imbalanced, pareto, photos, "
        "plugin, quickstart, tiny-data), the path of a YAML file, or data, such as a folder of images, for "
        "which one is written as by `harness init`.",
        show_default=True,
    ),
]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        "-d",
        help="digits, cifar10, cifar100, mnist, fashion_mnist, a folder of images (or a .zip or .tar of "
        "one), a .csv or an .npz.",
    ),
]
EpochsOption = Annotated[int | None, typer.Option("--epochs", "-e", min=1, help="Epochs of a full training.")]
RecheckOption = Annotated[
    bool,
    typer.Option(
        "--recheck",
        help="Read all files of the data set again, instead of trusting their sizes and times.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Override any key of the experiment file, such as dataset.image_size=64; may be repeated.",
    ),
]
StudyOption = Annotated[
    str | None,
    typer.Option("--study", help="The study's name: made if new, gone on with if it exists."),
]

StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="Optuna's storage, such as postgresql+psycopg://user@server/name, instead of the one in "
        "HARNESS_STORAGE. Anybody on this machine can read a command line: a password is better given there, "
        "in PGPASSWORD or in a file named by PGPASSFILE.",
    ),
]


def _check_workers(text: str | None) -> str | None:
    if text is None or text == AUTO or (text.isdecimal() and 1 <= int(text) <= MOST_WORKERS):
        return text
    raise typer.BadParameter(f"{text!r} is neither {AUTO} nor a number from 1 to {MOST_WORKERS:,}.")


def _check_study_files(url: str | None) -> str | None:
    from harness.study_files import is_bucket_url

    if url is None or is_bucket_url(url.rstrip("/")):
        return url
    # What was given is not repeated: there may be keys in it.
    raise typer.BadParameter(
        "it must be s3://BUCKET/PREFIX or gs://BUCKET/PREFIX, of letters, digits, '.', '_', '=' and '-', and "
        "nothing else. Keys and the address of a server come from the environment, such as "
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL."
    )


AUTO = "auto"
MOST_WORKERS = 1024
WorkersOption = Annotated[
    str | None,
    typer.Option(
        "--workers",
        "-w",
        metavar="N|auto",
        callback=_check_workers,
        help="Worker processes; by default one per GPU or core. auto: the number that trains fastest, "
        "measured once for this machine and kind of network.",
    ),
]
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="local|ray",
        help="What runs the workers: processes on this machine, or a Ray cluster (needs harness\\[ray]).",
    ),
]
RayAddressOption = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="ADDRESS",
        help="The Ray cluster: auto, HOST:PORT or ray://HOST:PORT; without it --engine ray starts a Ray on "
        "this machine.",
    ),
]
StudyFilesOption = Annotated[
    str | None,
    typer.Option(
        "--study-files",
        metavar="URL",
        envvar="HARNESS_STUDY_FILES",
        callback=_check_study_files,
        help="Where workers keep a new study's checkpoints and models: s3://BUCKET/PREFIX or "
        "gs://BUCKET/PREFIX. The study remembers it.  \\[default: the study's folder]",
    ),
]
TrialsOption = Annotated[
    int | None,
    typer.Option("--trials", "-n", min=1, help="The study's total of trials.  \\[default: 50]"),
]


def _limit(kind: type[int] | type[float], low: float) -> Callable[[str], Limit]:
    """A reader of an option's text: a number of this kind, at least `low`, or `none`."""

    def read(text: str) -> Limit:
        if text == NO_LIMIT:
            return text
        try:
            value = kind(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is neither a number nor {NO_LIMIT}.") from None
        if not low <= value < math.inf:
            raise typer.BadParameter(f"{text} is not at least {low:g}.")
        return value

    return read


Limit: TypeAlias = int | float | str
TimeoutOption = Annotated[
    Any,
    typer.Option(
        "--timeout",
        parser=_limit(float, 0.001),
        metavar="SECONDS|none",
        help="Seconds of all the study's sessions together, from the start of a command to its exit.",
    ),
]
TargetOption = Annotated[
    Any,
    typer.Option(
        "--target",
        parser=_limit(float, -math.inf),
        metavar="SCORE|none",
        help="End when a trial is this good.",
    ),
]
PatienceOption = Annotated[
    Any,
    typer.Option(
        "--patience",
        parser=_limit(int, 1),
        metavar="TRIALS|none",
        help="End when so many trials in a row brought no improvement on those before, after equally many "
        "epochs.",
    ),
]
MinGainOption = Annotated[
    float | None,
    typer.Option("--min-gain", min=0, help="What counts as an improvement for --patience.  \\[default: 0]"),
]
OrderedOption = Annotated[
    bool,
    typer.Option("--ordered", help="Decide in a fixed order: the whole study can be repeated exactly."),
]
MaxEpochsOption = Annotated[
    Any,
    typer.Option(
        "--max-epochs-total",
        parser=_limit(int, 1),
        metavar="EPOCHS|none",
        help="Epochs of all trials together.",
    ),
]
StudyArgument = Annotated[
    str | None, typer.Argument(help="The study's name; by default the one last active.")
]
TrialArgument = Annotated[
    str | None,
    typer.Argument(
        help="A study's name, the id of a trial's run in MLflow, or a model there, such as "
        "models:/pets@champion; by default the study last active."
    ),
]
OfStudyOption = Annotated[
    str | None, typer.Option("--study", help="The study's name; by default the one last active.")
]
OldStudyOption = Annotated[str | None, typer.Option("--study", hidden=True)]
EnsembleOption = Annotated[
    bool,
    typer.Option("--ensemble", help="The model that `harness ensemble` made last, instead of a trial's."),
]
ModelArgument = Annotated[
    str,
    typer.Argument(
        help="A bundle (a folder, or a .zip of it); a study, whose best model is meant; the id of a trial's "
        "run in MLflow, or a model there, such as models:/pets@champion."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write.")]


def use_storage(url: str | None) -> None:
    """Have this command, and what it starts, use the value of `--storage`, if the option was given."""
    if url is not None:
        os.environ["HARNESS_STORAGE"] = url


def seconds_of(limit: Limit | None) -> float | None:
    """The value of `--timeout` for a proposal: infinity for `none`, None if the option was not given."""
    return math.inf if limit == NO_LIMIT else None if limit is None else float(limit)


def number_of_workers(text: str | None) -> int | Literal["auto"] | None:
    """The value of `--workers` as `run_sweep` takes it; None if the option was not given."""
    return "auto" if text == AUTO else int(text) if text else None


def one_study(argument: str | None, option: str | None) -> str | None:
    """The study of a command that takes it as its argument, and as the `--study` of earlier versions.

    Raises:
        UsageError: both are given, and differ.
    """
    from harness.errors import UsageError

    if argument is not None and option is not None and argument != option:
        raise UsageError(f"Two studies are named, {argument!r} and --study {option!r}; name one.")
    return option if argument is None else argument
