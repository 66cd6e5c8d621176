"""From sources of every kind to arrays and splits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.data.arrays import load
from harness.data.prepare import prepare
from harness.data.sealed import open_sealed
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig
from harness.records import Dataset


def prepared(source: str | Path, seed: int = 0, **changes: Any) -> Dataset:
    return prepare(DatasetConfig(source=str(source), **changes), seed=seed, progress=lambda *_: None)


def folders() -> list[Path]:
    return sorted(Path(os.environ["HARNESS_CACHE"], "datasets").glob("*/manifest.json"))


def test_digits_are_there_without_a_download() -> None:
    found = prepared("digits")
    assert found.image_shape == (8, 8, 1)
    assert sum(found.counts.values()) == 1797
    images, labels = load(found).train()
    assert images.dtype == np.uint8
    assert images.max() == 255
    assert labels.dtype == np.int32
    assert len(images) == len(labels) == found.counts["train"]


def test_class_folders_are_read_and_split_by_class(pets: Path) -> None:
    found = prepared(pets)
    assert found.classes == ("cat", "dog")
    assert found.image_shape == (10, 12, 3)
    assert found.counts == {"train": 12, "validation": 4, "test": 4}
    for images, labels in (load(found).train(), load(found).validation(), open_sealed(found)):
        assert np.bincount(labels).tolist() == [len(labels) // 2] * 2
        assert images[:].shape[1:] == found.image_shape


def test_pixels_are_those_of_the_files(pets: Path) -> None:
    images, labels = load(prepared(pets, test_fraction=0.0, validation_fraction=0.0)).train()
    for index, image in enumerate(sorted((pets / "dog").iterdir())):
        np.testing.assert_array_equal(images[10 + index], np.asarray(Image.open(image)))
    assert labels.tolist() == [0] * 10 + [1] * 10


@pytest.mark.parametrize(("validation", "test"), [("val", "test"), ("valid", None), (None, "testing")])
def test_folders_for_splits_on_top_are_kept(draw: Any, validation: str | None, test: str | None) -> None:
    tops = {"train": 8, validation: 3, test: 2}
    for top, count in tops.items():
        for name in ("a", "b"):
            for index in range(count if top else 0):
                draw(f"data/{top}/{name}/{index}.png", seed=hash((top, name, index)) % 2**32)
    found = prepared("data")
    assert found.counts["validation"] == (6 if validation else found.counts["validation"])
    assert found.counts["test"] == (4 if test else found.counts["test"])
    assert sum(found.counts.values()) == 16 + 6 * bool(validation) + 4 * bool(test)


def test_a_test_folder_beside_class_folders_is_the_test_split(draw: Any) -> None:
    for index in range(6):
        for name in ("a", "b"):
            draw(f"data/{name}/{index}.png", seed=index * 2 + (name == "b"))
            draw(f"data/test/{name}/{index}.png", seed=100 + index * 2 + (name == "b"))
    found = prepared("data")
    assert found.classes == ("a", "b")
    assert found.counts["test"] == 12


def test_a_flat_folder_has_its_classes_in_the_names(draw: Any) -> None:
    for index in range(6):
        draw(f"flat/cat.{index}.png", seed=index)
        draw(f"flat/dog_{index}.png", seed=100 + index)
    with pytest.raises(DataError, match=r"dataset\.layout=prefix"):
        prepared("flat")
    assert prepared("flat", layout="prefix").classes == ("cat", "dog")


def test_a_manifest_names_paths_labels_and_splits(draw: Any) -> None:
    rows = ["path,label,split"]
    for index in range(8):
        draw(f"somewhere/{index}.png", seed=index)
        rows.append(
            f"somewhere/{index}.png,{'even' if index % 2 == 0 else 'odd'},{'test' if index > 5 else 'train'}"
        )
    Path("list.csv").write_text("\n".join(rows))
    found = prepared("list.csv")
    assert found.classes == ("even", "odd")
    assert found.counts["test"] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column label and no column path"),
        ("path\n", "no column label"),
        ("path,class\n", "lists no images"),
        ("path,label\n", "lists no images"),
        ("path,label\nnowhere.png,a\n", "list.csv:2: the image nowhere.png does not exist"),
        ("path,label\n,a\n", "list.csv:2: the path is missing"),
        ("path,label,split\nlist.csv,a,later\n", "list.csv:2: the split 'later' is none of train"),
        ("path,label\nlist.csv,a,b\n", "list.csv:2: there are 3 fields, but 2 columns"),
    ],
)
def test_mistakes_in_a_manifest_are_located(text: str, message: str) -> None:
    Path("list.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        prepared("list.csv")


def test_sizes_and_colours_are_brought_together(draw: Any) -> None:
    for index in range(6):
        draw(f"mixed/a/{index}.png", seed=index, size=(20, 30), mode="L")
        draw(f"mixed/b/{index}.JPG", seed=50 + index, size=(200, 100))
    assert prepared("mixed", image_size=16).image_shape == (16, 16, 3)
    assert prepared("mixed", image_size=(8, 24), color="grey").image_shape == (8, 24, 1)
    (Path("mixed") / "b" / "extra.png").write_bytes(draw("x.png", seed=99, size=(200, 100)).read_bytes())
    assert prepared("mixed").image_shape == (48, 96, 3)


def test_exif_rotation_is_applied() -> None:
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a", "b"):
        for index in range(3):
            folder = Path("turned") / name
            folder.mkdir(parents=True, exist_ok=True)
            pixels[0, 0] = 10 * index + (name == "b")
            Image.fromarray(pixels).save(folder / f"{index}.png", exif=exif)
    found = prepared("turned", test_fraction=0.0, validation_fraction=0.0)
    assert found.image_shape[:2] == (40, 20)
    images, _ = load(found).train()
    assert images[0, 5:15].mean() > 200
    assert images[0, 25:].mean() < 50


def test_names_may_lie_about_formats_and_hidden_files_are_passed_over(pets: Path, draw: Any) -> None:
    draw("x.png", seed=77)
    shutil.copy("x.png", pets / "cat" / "really a png.JPG")
    draw("y.jpg", seed=78)
    shutil.copy("y.jpg", pets / "cat" / "y.crdownload")
    (pets / "cat" / ".DS_Store").write_bytes(b"junk")
    (pets / "cat" / "Thumbs.db").write_bytes(b"junk")
    (pets / "notes.txt").write_text("not a class")
    found = prepared(pets)
    assert sum(found.counts.values()) == 22
    assert found.warnings == ()


HOSTILE = {
    "empty.png": b"",
    "text.jpg": b"this is not an image",
    "drawing.svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "bomb.png": bytes.fromhex("89504e470d0a1a0a0000000d494844520000ea600000ea60080200000000000000"),
}


def test_an_unreadable_image_is_reported_with_its_path_and_skipped(pets: Path) -> None:
    (pets / "cat" / "broken.png").write_bytes(b"this is not an image")
    found = prepared(pets)
    assert sum(found.counts.values()) == 20
    assert "pets/cat/broken.png was skipped: it is none of JPEG" in found.warnings[0]


def test_too_many_unreadable_images_are_an_error_that_lists_them(pets: Path) -> None:
    truncated = (pets / "dog" / "1.png").read_bytes()[:60]
    for name, content in (HOSTILE | {"cut.png": truncated}).items():
        (pets / "cat" / name).write_bytes(content)
    with pytest.raises(DataError, match="5 of 25 images cannot be read") as caught:
        prepared(pets)
    assert all(name in str(caught.value) for name in HOSTILE)
    found = prepared(pets, max_unreadable=0.3)
    assert sum(found.counts.values()) == 20
    assert len(found.warnings) == 5


def test_transparency_is_laid_on_white_and_16_bits_are_spread_over_8() -> None:
    for name, offset in (("a", 0), ("b", 8)):
        folder = Path("deep") / name
        folder.mkdir(parents=True)
        for index in range(3):
            values = np.full((6, 6), 256 * (20 * index + offset), np.uint16)
            Image.fromarray(values).save(folder / f"{index}.png")
    found = prepared("deep", test_fraction=0.0, validation_fraction=0.0, range=[0, 65_535])
    assert found.pixel_range == (0, 65_535)
    assert "6 images with more than 8 bits" in found.warnings[0]
    images, _ = load(found).train()
    assert images[:, 0, 0, 0].tolist() == [0, 20, 40, 8, 28, 48]
    found = prepared("deep", test_fraction=0.0, validation_fraction=0.0)
    assert found.pixel_range == (0, 2**14 - 1)
    images, _ = load(found).train()
    shades = [round(256 * level * 255 / (2**14 - 1)) for level in (0, 20, 40, 8, 28, 48)]
    assert images[:, 0, 0, 0].tolist() == shades

    for name, shade in (("a", 0), ("b", 100)):
        folder = Path("clear") / name
        folder.mkdir(parents=True)
        for index in range(3):
            pixels = np.full((4, 4, 4), shade + index, np.uint8)
            pixels[..., 3] = 0
            pixels[0, 0, 3] = 255
            Image.fromarray(pixels).save(folder / f"{index}.png")
    images, _ = load(prepared("clear", test_fraction=0.0, validation_fraction=0.0)).train()
    assert images[0, 1, 1].tolist() == [255, 255, 255]
    assert images[0, 0, 0].tolist() == [0, 0, 0]


def test_the_second_time_nothing_is_decoded(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepared(pets)
    monkeypatch.setattr("harness.data.caching.decode_files", None)
    assert prepared(pets) == first


def test_a_changed_file_is_noticed(pets: Path, draw: Any) -> None:
    first = prepared(pets)
    draw(pets / "cat" / "3.png", seed=12345)
    second = prepared(pets)
    assert first.digest != second.digest
    assert len(folders()) == 2


def test_the_same_content_elsewhere_is_the_same_data(pets: Path) -> None:
    first = prepared(pets)
    shutil.copytree(pets, "copy/pets")
    os.utime("copy/pets/cat/1.png", (1, 1))
    assert prepared("copy/pets").digest == first.digest
    assert len(folders()) == 1


def test_an_interrupted_decode_leaves_no_cache_that_looks_complete(draw: Any) -> None:
    """Killed while images are decoded; the next call cleans up and succeeds."""
    for index in range(700):
        for name in ("a", "b"):
            draw(f"many/{name}/{index}.png", seed=index * 2 + (name == "b"))
    script = (
        "from harness.data.prepare import prepare\n"
        "from harness.experiment.dataset_config import DatasetConfig\n"
        "import os, signal\n"
        "def kill(label, done, total): os.kill(os.getpid(), signal.SIGKILL)\n"
        "if __name__ == '__main__': prepare(DatasetConfig(source='many'), seed=0, progress=kill)\n"
    )
    Path("killed.py").write_text(script)
    done = subprocess.run([sys.executable, "killed.py"], check=False, timeout=120)
    assert done.returncode == -9
    cache = Path(os.environ["HARNESS_CACHE"], "datasets")
    assert list(cache.glob(".tmp-*"))
    assert not folders()
    time.sleep(0.5)
    found = prepared("many")
    assert sum(found.counts.values()) == 1400
    assert not list(cache.glob(".tmp-*"))
    assert len(folders()) == 1


def test_identical_images_never_straddle_a_split(draw: Any) -> None:
    for index in range(20):
        for name in ("a", "b"):
            draw(f"twins/{name}/{index}.png", seed=(index // 4) * 2 + (name == "b"))
    for seed in range(5):
        found = prepared("twins", seed=seed)
        arrays = load(found)
        parts = [
            {image.tobytes() for image in part[0][:]}
            for part in (arrays.train(), arrays.validation(), open_sealed(found))
        ]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]


def test_training_images_that_are_test_images_are_left_out(draw: Any) -> None:
    for index in range(8):
        for name in ("a", "b"):
            draw(f"leaky/train/{name}/{index}.png", seed=index * 2 + (name == "b"))
            draw(f"leaky/test/{name}/{index}.png", seed=(index + 6) * 2 + (name == "b"))
    found = prepared("leaky")
    assert found.warnings == ("4 training images that are also test images were left out of training.",)
    assert found.counts == {"train": 10, "validation": 2, "test": 16}


def test_identical_images_with_two_labels_are_reported(pets: Path) -> None:
    shutil.copy(pets / "cat" / "0.png", pets / "dog" / "liar.png")
    assert (
        "1 pairs of identical images have two labels, for example 'cat' and 'dog'"
        in prepared(pets).warnings[0]
    )


def test_the_seed_decides_validation_but_never_the_test(pets: Path) -> None:
    found = prepared(pets, seed=1), prepared(pets, seed=2)
    one, other = map(load, found)
    assert not np.array_equal(one.validation()[0], other.validation()[0])
    sealed = [open_sealed(each)[0][:] for each in found]
    np.testing.assert_array_equal(sealed[0], sealed[1])
    assert found[0].split_digests["test"] == found[1].split_digests["test"]
    assert found[0].split_digests["validation"] != found[1].split_digests["validation"]
    np.testing.assert_array_equal(one.train()[0], load(prepared(pets, seed=1)).train()[0])


def test_a_limit_keeps_the_classes_in_their_shares() -> None:
    found = prepared("digits", limit_train=200)
    assert 190 <= found.counts["train"] + found.counts["validation"] <= 210
    assert max(found.class_counts.values()) - min(found.class_counts.values()) <= 2


@pytest.mark.parametrize("layout", ["missing", "empty", "one class", "one image"])
def test_unusable_folders_are_explained(layout: str, draw: Any) -> None:
    messages = {
        "missing": "was not found",
        "empty": "no class folders with images",
        "one class": "only the class 'cat'",
        "one image": "class 'dog' of pets has only 1 image",
    }
    if layout != "missing":
        Path("pets").mkdir()
    if layout in ("one class", "one image"):
        for index in range(3):
            draw(f"pets/cat/{index}.png", seed=index)
    if layout == "one image":
        draw("pets/dog/0.png", seed=9)
    with pytest.raises(DataError, match=messages[layout]) as caught:
        prepared("pets")
    assert caught.value.exit_code == 1


def test_links_in_a_circle_end(pets: Path) -> None:
    (pets / "cat" / "again").symlink_to(pets.absolute() / "cat", target_is_directory=True)
    assert sum(prepared(pets).counts.values()) == 20


def test_a_cache_that_cannot_be_written_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_text("")
    monkeypatch.setenv("HARNESS_CACHE", "file/cache")
    with pytest.raises(DataError, match="HARNESS_CACHE"):
        prepared("digits")


@pytest.mark.parametrize(
    "name", ["train_images.npy", "train_labels.npy", "manifest.json", "training-", "sealed-"]
)
def test_a_flipped_bit_in_prepared_data_is_noticed_and_mended(pets: Path, name: str) -> None:
    before = prepared(pets)
    file = next(Path(before.folder).glob(f"{name}*"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)
    after = prepared(pets)
    assert file.read_bytes() != content
    assert after.digest == before.digest
    if Path(name).suffix:
        assert "was damaged" in after.warnings[0]
        assert Path(name).suffix in after.warnings[0]
    assert prepared(pets).warnings == before.warnings


def test_photographs_larger_than_usual_are_accepted_deliberately(pets: Path) -> None:
    for name in ("cat", "dog"):
        pixels = Image.new("1", (9000, 6000))
        pixels.paste(1, (0, 0, 9000, 3000 if name == "cat" else 1500))
        pixels.save(pets / name / "large.png")
    with pytest.raises(DataError, match=r"54,000,000 pixels; at most 50,000,000 .*dataset\.max_pixels"):
        prepared(pets)
    usual = prepared(pets, max_unreadable=0.2)
    found = prepared(pets, max_pixels=60_000_000, test_fraction=0.0, validation_fraction=0.0)
    assert found.warnings == ()
    assert found.digest != usual.digest
    images, labels = load(found).train()
    large = [
        int(image.mean()) for image, label in zip(images, labels, strict=True) if image.std(axis=1).max() < 1
    ]
    assert large == sorted(large, reverse=True)
    assert len(large) == 2
    assert abs(large[0] - 2 * large[1]) < 10
