"""Clips as a data set: which frames are taken, what is said, and what keeps them apart."""

from __future__ import annotations

import io
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.audit.audit import audit
from harness.audit.page import write_page
from harness.data.arrays import load
from harness.data.clips import decode_clip
from harness.data.decode import UnreadableError, decode
from harness.data.manifest import read_manifest
from harness.data.prepare import prepare
from harness.data.preview import preview
from harness.data.sealed import open_sealed
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig
from harness.proposal.survey import FRAMES, survey
from harness.records import Dataset
from tests.clips import CODECS, grey, turn, write_gif, write_video

CLOSE = 10
"""How far greys are off in a video, at most."""


def greys(path: Path, frames: int) -> list[float]:
    """The mean grey of each frame that is taken of a clip."""
    pixels = decode_clip(path.read_bytes(), frames, (8, 8), 1).pixels
    return [float(frame.mean()) for frame in pixels]


def config(source: str | Path, **changes: object) -> DatasetConfig:
    return DatasetConfig.model_validate({"source": str(source), "frames": 3, "color": "grey"} | changes)


def prepared(source: str | Path, **changes: object) -> Dataset:
    return prepare(config(source, **changes), seed=0, progress=lambda *_: None)


def draw_pets(each: int = 12, folder: str = "pets") -> Path:
    """Two classes of animations; all frames of a clip have the grey that is its number."""
    for label, name in enumerate(("cat", "dog")):
        for number in range(each):
            value = 1 + label * each + number
            write_gif(Path(folder, name, f"{number}.gif"), np.stack([ramp(value), ramp(value)[::-1]]))
    return Path(folder)


def ramp(value: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Pixels that differ, and of which the largest is a clip's number."""
    pixels = np.zeros((6, 5), np.uint8)
    pixels[0] = value
    return pixels


@given(
    st.lists(st.integers(2, 30), min_size=1, max_size=9),
    st.integers(1, 12),
)
@settings(max_examples=60, deadline=None)
def test_the_frame_in_the_middle_of_each_part_is_taken(hundredths: list[int], frames: int) -> None:
    content = io.BytesIO()
    pictures = [
        Image.fromarray(frame) for frame in grey(*(20 * n for n in range(len(hundredths))), size=(2, 3))
    ]
    shown = [10 * one for one in hundredths]
    pictures[0].save(content, "GIF", save_all=True, append_images=pictures[1:], duration=shown)
    found = decode_clip(content.getvalue(), frames, (2, 3), 1)
    begins = [0, *accumulate(shown)]
    for number, frame in enumerate(found.pixels):
        seen = int(frame[0, 0, 0]) // 20
        # In the middle of the part, in halves of it, so that all numbers are whole.
        assert begins[seen] * 2 * frames <= (2 * number + 1) * begins[-1] < begins[seen + 1] * 2 * frames
    assert found.repeated == (len({int(frame[0, 0, 0]) for frame in found.pixels}) < frames)


@pytest.mark.parametrize("suffix", CODECS)
def test_videos_of_every_kind_are_read_by_time(suffix: str) -> None:
    even = write_video(Path(f"even{suffix}"), grey(*range(10, 250, 20), size=(32, 48)))
    assert greys(even, 3) == pytest.approx([50, 130, 210], abs=CLOSE)
    uneven = write_video(Path(f"uneven{suffix}"), grey(30, 90, 150, 210), [100, 600, 100, 100])
    assert greys(uneven, 4) == pytest.approx([90, 90, 90, 150], abs=CLOSE)
    assert decode_clip(uneven.read_bytes(), 4, (8, 8), 1).repeated


def test_a_kind_is_known_by_content_and_not_by_name() -> None:
    gif = write_gif(Path("a.gif"), grey(10, 200))
    assert greys(gif.rename("a.mp4"), 2) == [10, 200]
    video = write_video(Path("b.webm"), grey(10, 200))
    assert greys(video.rename("b.avi"), 2) == pytest.approx([10, 200], abs=CLOSE)


def test_a_turned_video_is_upright() -> None:
    frames = np.zeros((3, 32, 64), np.uint8)
    frames[:, :, 32:] = 200
    path = write_video(Path("phone.mp4"), frames)
    turn(path)
    found = decode_clip(path.read_bytes(), 1, (64, 32), 1)
    assert found.full_size == (64, 32)
    upper, lower = np.split(found.pixels[0, ..., 0].astype(float), 2)
    assert upper.mean() == pytest.approx(0, abs=CLOSE)
    assert lower.mean() == pytest.approx(200, abs=CLOSE)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(2, 24), st.sampled_from(["P", "L", "RGB", "RGBA"]))
@settings(max_examples=25, deadline=None)
def test_a_frame_becomes_pixels_as_an_image_does(height: int, width: int, side: int, mode: str) -> None:
    rng = np.random.default_rng([height, width])
    picture = Image.fromarray(rng.integers(0, 256, (height, width, 4)).astype(np.uint8), "RGBA").convert(mode)
    content = io.BytesIO()
    picture.save(content, "GIF")
    for channels in (1, 3):
        image = decode(content.getvalue(), (side, side), channels).pixels
        clip = decode_clip(content.getvalue(), 2, (side, side), channels).pixels
        assert (clip == image).all()


def test_an_example_is_a_clip_and_never_on_two_sides() -> None:
    dataset = prepared(draw_pets(), test_fraction=0.25, validation_fraction=0.25)
    assert (dataset.image_shape, dataset.frames, dataset.example_shape) == ((6, 5, 1), 3, (3, 6, 5, 1))
    arrays = load(dataset)
    parts = [*map(arrays.on_disk, ("train", "validation")), open_sealed(dataset)]
    seen = []
    for images, labels in parts:
        pixels = images[:]
        assert pixels.shape[1:] == (3, 6, 5, 1)
        own = pixels.max(axis=(2, 3, 4))
        assert (own == own[:, :1]).all()
        assert ((own[:, 0] > 12) == labels).all()
        seen += own[:, 0].tolist()
    assert sorted(seen) == list(range(1, 25))


def test_a_fold_holds_whole_clips() -> None:
    dataset = prepared(draw_pets(), test_fraction=0, folds=3)
    arrays = load(dataset)
    held = np.stack([arrays.held_out(fold) for fold in range(3)])
    assert held.shape == (3, 24)
    assert (held.sum(axis=0) == 1).all()


def test_the_same_clip_twice_is_on_one_side() -> None:
    folder = draw_pets()
    for number in range(12):
        Path(folder, "cat", f"again{number}.gif").write_bytes(
            Path(folder, "cat", f"{number}.gif").read_bytes()
        )
    arrays = load(prepared(folder, test_fraction=0, validation_fraction=0.3))
    train, validation = (
        set(arrays.on_disk(part)[0][:].max(axis=(1, 2, 3, 4)).tolist()) for part in ("train", "validation")
    )
    assert not train & validation


def test_a_digest_covers_frames_and_their_number() -> None:
    folder = draw_pets()
    first = prepared(folder)
    assert prepared(folder).digest == first.digest
    assert prepared(folder, frames=4).digest != first.digest
    assert read_manifest(Path(first.folder)).image_shape == [3, 6, 5, 1]
    write_gif(folder / "cat" / "0.gif", np.stack([ramp(1), ramp(99)]))
    assert prepared(folder).digest != first.digest


def test_short_and_broken_clips_are_named() -> None:
    folder = draw_pets(30)
    write_gif(folder / "cat" / "still.gif", ramp(200)[None])
    (folder / "dog" / "broken.mp4").write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(50))
    (folder / "dog" / "none.avi").write_bytes(b"this is no clip")
    (folder / "dog" / "picture.png").write_bytes(b"")
    dataset = prepared(folder, frames=2)
    assert dataset.counts["train"] + dataset.counts["validation"] + dataset.counts["test"] == 61
    said = "\n".join(dataset.warnings)
    assert "Of 1 clip a frame is taken more than once" in said
    assert "broken.mp4 was skipped: it is damaged" in said
    assert "none.avi was skipped: it is none of MP4, MOV, AVI, WebM, Matroska, GIF, or damaged" in said
    assert "Not used, for these are no clips: dog/picture.png" in said
    with pytest.raises(DataError, match=r"2 of 63 clips cannot be read"):
        prepared(folder, max_unreadable=0.0)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi", ".gif"])
def test_a_clip_that_is_cut_off_is_refused_or_shorter(suffix: str) -> None:
    """Wherever a file is cut off, its frames are those of its beginning, or it is said why there are none."""
    noise = np.random.default_rng(0).integers(0, 200, (8, 48, 48)).astype(np.uint8)
    path = (write_gif if suffix == ".gif" else write_video)(Path(f"whole{suffix}"), noise)
    whole = path.read_bytes()
    refused = 0
    for share in (0.0, 0.01, 0.1, 0.4, 0.7, 0.95):
        try:
            found = decode_clip(whole[: int(share * len(whole))], 3, (8, 8), 3)
        except UnreadableError as error:
            assert str(error)
            refused += 1
        else:
            assert found.pixels.shape == (3, 8, 8, 3)
    assert refused >= 2


def test_clips_and_images_are_told_apart() -> None:
    write_video(Path("films/a/1.mp4"), grey(10, 20))
    write_video(Path("films/b/1.mp4"), grey(10, 20))
    with pytest.raises(DataError, match=r"no images in .*films, but 2 clips, .*--set dataset.frames=8"):
        prepared("films", frames=None)
    Image.fromarray(ramp(3)).save(Path("one.png"))
    for name in ("a", "b"):
        Path("pictures", name).mkdir(parents=True)
        Image.fromarray(ramp(3)).save(Path("pictures", name, "1.png"))
    with pytest.raises(
        DataError, match=r"no clips .* in .*pictures, but 2 images, .* Leave out dataset.frames"
    ):
        prepared("pictures")


def test_a_list_of_clips() -> None:
    folder = draw_pets(4)
    rows = [f"{file.relative_to(folder)},{file.parent.name}" for file in sorted(folder.rglob("*.gif"))]
    (folder / "list.csv").write_text("\n".join(["path,label", *rows]) + "\n", encoding="utf-8")
    for source in (folder / "list.csv", folder):
        assert prepared(source, test_fraction=0, validation_fraction=0).counts["train"] == 8


def test_clips_stay_together_by_groups() -> None:
    for label, name in enumerate(("cat", "dog")):
        for number in range(12):
            path = Path("pets", name, f"person{number // 3}_{number}.gif")
            write_gif(path, np.stack([ramp(1 + 12 * label + number)]))
    dataset = prepared("pets", test_fraction=0, validation_fraction=0.3, groups=r"(person\d+)_")
    arrays = load(dataset)
    own = [
        set(((arrays.on_disk(part)[0][:].max(axis=(1, 2, 3, 4)) - 1) % 12 // 3).tolist())
        for part in ("train", "validation")
    ]
    assert not own[0] & own[1]


def test_an_audit_of_clips_names_what_is_broken_twice_or_blank() -> None:
    folder = draw_pets()
    twice = (folder / "cat" / "3.gif").read_bytes()
    (folder / "dog" / "again.gif").write_bytes(twice)
    (folder / "dog" / "cut.gif").write_bytes(twice[:9])
    write_gif(folder / "dog" / "blank.gif", grey(90, 90, size=(6, 5)))
    write_gif(folder / "dog" / "large.gif", np.repeat(np.repeat(grey(10, 250, size=(6, 5)), 9, 1), 9, 2))
    found = audit(config(folder), 0, suspects=None, progress=lambda *_: None, tell=lambda _: None)
    named = {
        (check, image.name)
        for check, finding in found.findings
        for group in finding.groups
        for image in (found.facts.images[number] for number in group.images)
    }
    assert {
        ("conflict", "dog/again.gif"),
        ("conflict", "cat/3.gif"),
        ("unreadable", "dog/cut.gif"),
        ("blank", "dog/blank.gif"),
        ("size", "dog/large.gif"),
    } <= named
    assert found.facts.example_shape == (3, 6, 5, 1)
    (said,) = [note for note in found.notes if "checks of images alone" in note]
    assert said.endswith("near-duplicate, alike, suspect, mode, orientation, suffix.")
    assert not {"suspect", "mode"} & {*found.clean, *(check for check, _ in found.findings)}
    assert any("a frame is taken more than once" in note for note in found.notes)
    assert sum(count.total() for count in found.facts.counts().values()) > 20
    write_page(found, Path("audit.html"))
    assert "28 clips, 2 classes, seen as 3×6×5×1 (frames×height×width×channels)" in Path(
        "audit.html"
    ).read_text(encoding="utf-8")
    with pytest.raises(DataError, match="leave --suspects out, for clips"):
        audit(config(folder), 0, suspects=True, progress=lambda *_: None, tell=lambda _: None)


def test_a_folder_of_clips_is_recognised() -> None:
    folder = draw_pets()
    found = survey(DatasetConfig(source=str(folder)))
    assert (found.recognised, found.frames, found.noun) == (True, FRAMES, "clip")
    assert (found.size, found.channels, found.images) == ((6, 5), 3, 24)
    for frames in (3, None):  # whoever says what they are is believed
        said = survey(config(folder, frames=frames))
        assert (said.recognised, said.frames) == (False, frames or 0)
    Image.fromarray(ramp(1)).save(folder / "cat" / "picture.png")  # what is mixed is not guessed
    assert survey(DatasetConfig(source=str(folder))).noun == "image"
    for name in ("a", "b"):
        for number in (1, 2):
            write_video(Path("films", name, f"{number}.mp4"), grey(10, 20, size=(32, 48)))
    films = survey(DatasetConfig(source="films"))
    assert (films.recognised, films.noun, films.size, films.channels) == (True, "clip", (32, 48), 3)
    with pytest.raises(DataError, match=r"no images in .*films, but 4 clips"):
        survey(config("films", frames=None))


def test_a_preview_counts_clips() -> None:
    assert "24 train clips, 2 classes" in preview(config(draw_pets())).found


def test_frames_mean_nothing_where_there_are_no_files() -> None:
    dataset = prepare(config("digits"), seed=0, progress=lambda *_: None)
    assert dataset.frames == 0
    assert any("Not used: dataset.frames" in sentence for sentence in dataset.warnings)
