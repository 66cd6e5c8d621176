"""What a bundle says of itself to people: `README.md`, a model card as Hugging Face's hub shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from harness.analysis.bootstrap import share_interval
from harness.deploy.artefact import Artefact, Figures
from harness.deploy.files_parity import FilesParity
from harness.deploy.metadata import depth, hits_of
from harness.deploy.trained import TrainedModel
from harness.paths.bundle import CHECKSUMS, EXPECTED_OUTPUT, LABELS, METADATA, REQUIREMENTS, SAMPLE_INPUT
from harness.records import Dataset, Evaluation

SHOWN_CLASSES = 20
"""Classes that are named, and up to which a confusion matrix is shown."""


def model_card(source: TrainedModel, dataset: Dataset, artefacts: Sequence[Artefact]) -> str:
    """The content of `README.md`.

    Args:
        source: what was exported.
        dataset: its data set, as it is described.
        artefacts: the models in the bundle.
    """
    some = ", ".join(dataset.classes[:SHOWN_CLASSES])
    more = " …" if len(dataset.classes) > SHOWN_CLASSES else ""
    head = f"""# {"A clip" if dataset.frames else "An image"} classifier

Classes: {some}{more}
Input: {_input(dataset)}, values 0 to 255.
Output: probabilities.
"""
    models = "".join(f"- `{one.format.file}`: {one.format.about}\n" for one in artefacts)
    tail = f"""## Files

`{LABELS}` has the classes in the order of the outputs, `{METADATA}` where the model comes
from, `{REQUIREMENTS}` the versions that it was tried with. `{SAMPLE_INPUT}` and `{EXPECTED_OUTPUT}` are a
request and its answer in TensorFlow Serving's REST form. Check the files with `sha256sum -c {CHECKSUMS}`.
"""
    # Formats that are used alike say the same.
    usages = dict.fromkeys(one.format.usage(dataset, one.read) for one in artefacts)
    files = [_about_files(dataset, one.files) for one in artefacts if one.files][:1]
    notes = [f"**Note:** {warning}\n" for one in artefacts for warning in one.warnings()]
    parts = [
        _front_matter(source, dataset, artefacts),
        head,
        *_about_frames(dataset),
        "## Intended use\n",
        _use(dataset),
        "## Models\n",
        models,
        *_members(source.provenance, dataset.noun),
        _formats([one.figures for one in artefacts], dataset.noun),
        *usages,
        *files,
        *notes,
        "## Data\n",
        _data(source, dataset),
        *(_evaluation(one, dataset.noun) for one in source.evaluations),
        "## Limits\n",
        _limits(source.evaluations, dataset.noun),
        tail,
    ]
    return "\n".join(parts)


def _input(dataset: Dataset) -> str:
    """What the model is given, in words."""
    height, width, channels = dataset.image_shape
    pixels = f"{height}×{width} pixels, {channels} channel{'s' * (channels > 1)}"
    return f"clips of {dataset.frames} frames of {pixels}" if dataset.frames else pixels


def _about_frames(dataset: Dataset) -> list[str]:
    """Which frames of a clip the model is to be given; nothing for images."""
    if not dataset.frames:
        return []
    return [
        f"Of each clip it takes {dataset.frames} frames, the ones that are seen in the middle of each of "
        f"{dataset.frames} equal parts of the clip's\ntime. `harness predict` and `harness serve` take them "
        "from files; the models here are given arrays of them.\n"
    ]


def _front_matter(source: TrainedModel, dataset: Dataset, artefacts: Sequence[Artefact]) -> str:
    """What the hub reads."""
    study, trial = source.provenance.get("study", dataset.name), source.provenance.get("trial", 0)
    ensemble = source.provenance.get("ensemble")
    which = f"trial-{trial}" if ensemble is None else f"ensemble-{ensemble}"
    task = "video-classification" if dataset.frames else "image-classification"
    tags = dict.fromkeys([task, *(one.format.extra or "keras" for one in artefacts)])
    results: list[dict[str, Any]] = [
        {
            "task": {"type": task},
            "dataset": {
                "name": dataset.name,
                "type": "videofolder" if dataset.frames else "imagefolder",
                "split": one.split,
            },
            "metrics": [
                {"type": "accuracy", "name": f"{one.split} accuracy", "value": one.metrics["accuracy"]}
            ],
        }
        for one in source.evaluations
        if "accuracy" in one.metrics
    ]
    front: dict[str, Any] = {
        "library_name": "keras",
        "pipeline_tag": task,
        "tags": list(tags),
    }
    if results:
        front["model-index"] = [{"name": f"{study}-{which}", "results": results}]
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n"


def _members(provenance: dict[str, Any], noun: str) -> list[str]:
    """Whose mean an ensemble is, and what that gains; nothing of a trial's model."""
    if "members" not in provenance:
        return []
    members = ", ".join(f"trial {one['trial']} ({one['weight']:.0%})" for one in provenance["members"])
    gain = provenance["gain"]
    shown = "shown" if gain["low"] is not None and gain["low"] > 0 else "not shown"
    return [
        f"It is the mean of the probabilities of {len(provenance['members'])} networks, {members}, chosen by "
        f"the\nvalidation {noun}s, which have {shown} it to be better than the best of them alone.\n"
    ]


def _use(dataset: Dataset) -> str:
    noun = "clip" if dataset.frames else "picture"
    return f"""To tell {len(dataset.classes)} classes of {noun}s apart, of the kind that the data set
{dataset.name} has. Every {noun} gets one of these classes, also one that shows none of them.
"""


def _formats(lines: Sequence[Figures], noun: str) -> str:
    """The table of the formats, as they were tried."""
    head = (
        "| file | size | largest difference | same class | accuracy | lost "
        f"| one {noun}, p95 | 32 {noun}s, p95 |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
    )
    rows = [
        f"| `{one.file}` | {one.size / 1000:,.0f} kB | {one.largest_difference:.1e} "
        f"| {one.same_class} of {one.images} | {_share(one.accuracy)} | {_share(one.accuracy_lost)} "
        f"| {one.single_ms:.2f} ms, {one.single_p95_ms:.2f} ms "
        f"| {one.batch_ms:.1f} ms, {one.batch_p95_ms:.1f} ms |\n"
        for one in lines
    ]
    return f"""{head}{"".join(rows)}
Each was loaded with its own runtime and compared with the trained model, on {noun}s that are not for testing.
Times are medians and 95th percentiles on the processor of the machine that exported it.
"""


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.2%}"


def _data(source: TrainedModel, dataset: Dataset) -> str:
    counts = ", ".join(f"{count:,} {split}" for split, count in dataset.counts.items() if count)
    licences = ", ".join(f"{what}: {licence}" for what, licence in source.licences.items())
    return f"""{dataset.name}: {counts} {dataset.noun}s. SHA-256: `{dataset.digest}`.
{f"Licences as far as they are known: {licences}." if licences else ""}
"""


def _evaluation(evaluation: Evaluation, noun: str) -> str:
    """The figures of one split, with the interval of the accuracy and the confusion matrix."""
    hits, images = hits_of(evaluation)
    interval = share_interval(hits, images)
    between = f" (95 % interval {interval.low:.4f} to {interval.high:.4f})" if interval else ""
    figures = "".join(
        f"- {name}: {value:.4f}{between if name == 'accuracy' else ''}\n"
        for name, value in evaluation.metrics.items()
    )
    return (
        f"## On the {images:,} {evaluation.split} {noun}s\n\n{figures}\n"
        f"{_confusion(evaluation) if len(evaluation.per_class) <= SHOWN_CLASSES else ''}"
    )


def _confusion(evaluation: Evaluation) -> str:
    names = [str(row["class"]).replace("|", "\\|") for row in evaluation.per_class]
    lines = [["true \\ predicted", *names], ["---"] * (len(names) + 1)]
    lines += [[name, *map(str, counts)] for name, counts in zip(names, evaluation.confusion, strict=True)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _limits(evaluations: Sequence[Evaluation], noun: str) -> str:
    tested = any(one.split == "test" for one in evaluations)
    of_validation = (
        f"The test {noun}s were never looked at for this choice."
        if tested
        else f"It was chosen by its score on the validation {noun}s, so that its figures on them are too "
        f"good; it was not tried on\ntest {noun}s."
    )
    pictures = "Clips" if noun == "clip" else "Pictures"
    return f"""{of_validation}
{pictures} of another origin (camera, light, framing) than the data set's may be told apart worse.
Probabilities say how sure the network is, which is not how often it is right.
"""


def _about_files(dataset: Dataset, files: FilesParity) -> str:
    height, width, channels = dataset.image_shape
    return f"""A file becomes the pixels that training saw of it:

- turned as its EXIF or XMP orientation says,
- transparency laid on white,
- {depth(dataset)},
- of animations the first picture,
- made {"grey" if channels == 1 else "red, green and blue"},
- the whole picture scaled to {height}×{width}, whatever its proportions.

Files of other formats ({", ".join(files.refused)} …), damaged ones and what is no image are refused, with an
error that says which one of the batch, and why.
"""
