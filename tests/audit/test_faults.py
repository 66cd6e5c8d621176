"""Every fault that is planted is found, and none is found that was not."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from harness.audit.audit import Audit, audit
from harness.data.arrays import load
from harness.data.prepare import prepare
from harness.experiment.dataset_config import DatasetConfig
from tests.audit.plant import CLASSES, EACH, FAULTS, Found, draw, picture, save


def looked_at(root: Path, **options: object) -> Audit:
    config = DatasetConfig(source=str(root), max_unreadable=0.5, **options)
    return audit(config, 0, suspects=False, progress=lambda *_: None, tell=lambda _: None)


def found(result: Audit) -> Found:
    """What was found of images and files; what is said of the set as a whole is left out."""
    names = {
        (check, result.facts.images[number].name)
        for check, finding in result.findings
        for group in finding.groups
        for number in group.images
    }
    return names | {(check, file) for check, finding in result.findings for file in finding.files}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), faults=st.sets(st.sampled_from(sorted(FAULTS))))
def test_what_is_planted_is_found_and_nothing_else(seed: int, faults: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "pets")
        draw(root, seed)
        expected: Found = set()
        for fault in sorted(faults):
            expected |= FAULTS[fault](root)
        result = looked_at(root)
        assert found(result) == expected
        whole = {check for check, finding in result.findings if not finding.count}
        assert whole == {"class"}  # splits of a few images are small, which is true


def test_all_faults_at_once(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    draw(root, 0)
    expected: Found = set()
    for fault in FAULTS.values():
        expected |= fault(root)
    assert found(looked_at(root)) == expected


@pytest.mark.parametrize(
    ("one", "other"), [("train", "validation"), ("train", "test"), ("validation", "test")]
)
def test_an_image_in_two_splits_is_a_leak(tmp_path: Path, one: str, other: str) -> None:
    root = tmp_path / "pets"
    for part, seed in (("train", 0), ("validation", 3000), ("test", 6000)):
        draw(root / part, seed)
    assert found(looked_at(root)) == set()
    (root / other / "cat" / "leaked.png").write_bytes((root / one / "cat" / "03.png").read_bytes())
    result = looked_at(root)
    assert found(result) == {("leak", f"{one}/cat/03.png"), ("leak", f"{other}/cat/leaked.png")}
    ((check, finding),) = [item for item in result.findings if item[1].severity == "error"]
    assert check == "leak"
    assert "the same byte for byte" in finding.groups[0].remark
    assert f"1 {other} image is among the" in finding.sentence


def test_pairs_across_the_splits_that_a_sweep_draws_and_under_two_labels(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    draw(root, 0)
    for name in CLASSES[:2]:
        save(picture(7777), root / name / "shot.jpg", quality=90 if name == "cat" else 70)
    result = looked_at(root)
    ((_, finding),) = [item for item in result.findings if item[0] == "near-duplicate"]
    assert finding.severity == "warning"
    assert "under different labels" in finding.sentence
    assert [sorted(result.facts.images[n].name for n in g.images) for g in finding.groups] == [
        ["cat/shot.jpg", "dog/shot.jpg"]
    ]
    parts = {image.part for image in result.facts.images}
    assert parts == {"train", "validation", "test"}


def test_near_duplicates_in_two_splits_are_kept_together_by_the_setting_that_is_named(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    draw(root, 0)
    for name in CLASSES:
        for number in range(EACH):
            with Image.open(root / name / f"{number:02}.png") as image:
                save(image, root / name / f"{number:02}.jpg", quality=85)
    (setting,) = [
        finding.sentence.split("--set ")[1].split(",")[0]
        for check, finding in looked_at(root).findings
        if check == "near-duplicate" and finding.severity == "warning"
    ]
    key, value = setting.removeprefix("dataset.").split("=")
    result = looked_at(root, **{key: value})
    ((_, finding),) = [item for item in result.findings if item[0] == "near-duplicate"]
    assert finding.severity == "note"
    assert f"{3 * EACH} pairs of images are nearly the same, under the same label in the same split" in (
        finding.sentence
    )
    assert {image.part for image in result.facts.images} == {"train", "validation", "test"}


def test_near_duplicates_in_given_splits_are_left_out_of_one_and_told(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    draw(root / "train", 0)
    draw(root / "test", 3000)
    with Image.open(root / "train" / "cat" / "05.png") as image:
        save(image, root / "test" / "cat" / "leaked.jpg", quality=85)
    names = {("near-duplicate", "train/cat/05.png"), ("near-duplicate", "test/cat/leaked.jpg")}
    severities = []
    for chosen in ("identical", "near_duplicates"):
        result = looked_at(root, keep_together=chosen)
        assert found(result) == names
        severities += [finding.severity for check, finding in result.findings if check == "near-duplicate"]
    assert severities == ["warning", "note"]
    assert result.facts.dataset is not None
    assert any(one.startswith("1 training images that are also") for one in result.facts.dataset.warnings)


@pytest.mark.parametrize(
    ("other", "how"),
    [
        ("Cat", "differ only in case"),
        ("c at", "differ only in spaces"),
        ("cat_", "differ only in spaces or separators"),
        ("c\uff41t", "look the same"),
        ("c\u0430t", "look the same"),
        ("cat\u200b", "look the same"),
    ],
)
def test_names_that_a_person_takes_for_the_same(tmp_path: Path, other: str, how: str) -> None:
    root = tmp_path / "pets"
    draw(root, 0)
    for number in range(12):
        save(picture(5000 + number), root / other / f"{number}.png")
    ((_, finding),) = [item for item in looked_at(root).findings if item[0] == "label"]
    assert how in finding.sentence
    assert "dog" not in finding.sentence


def test_what_a_sweep_refuses_is_said_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    draw(root, 0)
    for path in sorted((root / "dog").iterdir()):
        path.write_bytes(b"")
    result = looked_at(root)
    assert result.facts.dataset is None
    assert [check for check, finding in result.findings if finding.severity == "error"] == ["refused"]
    assert "'dog' has no image left" in result.findings[0][1].sentence
    assert len({name for check, name in found(result) if check == "unreadable"}) == 14


def test_images_that_show_nothing_are_an_error(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    for name in CLASSES:
        for number in range(12):
            colour = (number % 3, 0, 1)
            save(Image.new("RGB", (40, 40), colour), root / name / f"{number}.png")
    result = looked_at(root)
    sentences = [finding.sentence for check, finding in result.findings if check == "blank"]
    assert len(sentences) == 1
    assert "there is nothing to learn" in sentences[0]


def test_classes_that_are_rare_or_have_no_images_to_judge_by(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    draw(root / "train", 0)
    draw(root / "test", 3000)
    for number in range(3):
        save(picture(8000 + number), root / "train" / "rare" / f"{number}.png")
    sentences = [finding.sentence for check, finding in looked_at(root).findings if check == "class"]
    assert any("1 class has no test images" in one and "rare" in one for one in sentences)
    assert any("1 class has fewer than 10 training images: rare (2)" in one for one in sentences)
    assert any("The classes are imbalanced" in one for one in sentences)


def test_the_audit_sees_the_splits_that_a_sweep_trains_on(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    draw(root, 0)
    config = DatasetConfig(source=str(root))
    result = audit(config, 5, suspects=False, progress=lambda *_: None, tell=lambda _: None)
    told: list[str] = []
    dataset = prepare(config, seed=5, progress=lambda label, *_: told.append(label))
    assert told == []  # what the audit decoded was kept
    assert result.facts.dataset is not None
    assert (dataset.digest, dataset.counts) == (result.facts.dataset.digest, result.facts.dataset.counts)
    rows = load(dataset).on_disk("validation")[0].indices.tolist()
    assert [image.row for image in result.facts.images if image.part == "validation"] == rows


def test_photographs_that_exif_turns_are_trained_upright(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    draw(root, 0)
    (name,) = {name for _, name in FAULTS["turned"](root)}
    facts = looked_at(root).facts
    number = next(number for number, image in enumerate(facts.images) if image.name == name)
    with Image.open(root / name) as image:
        upright = np.asarray(ImageOps.exif_transpose(image), float)
        as_stored = np.asarray(image, float)
    assert np.abs(facts.pixels(number) - upright).mean() < 1
    assert np.abs(facts.pixels(number) - as_stored).mean() > 20
