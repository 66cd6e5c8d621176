"""What a data set is like, from names and headers: no image is decoded, of a clip one frame at most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import TypedDict

from harness.data.class_checks import check_classes
from harness.data.file_kinds import SEVERAL, kind_of_file
from harness.data.not_data import CLIPS
from harness.data.sentences import as_text, counted
from harness.data.source import POOLS, ArraySource, ImageFiles, Source
from harness.data.sources import find_source
from harness.data.store import Store
from harness.errors import ClipsFoundError, DataError
from harness.experiment.dataset_config import DatasetConfig
from harness.paths import cache

SAMPLE = 500
"""Headers that are read at most."""
CLIPS_SAMPLE = 50
"""The same of clips, whose files are large."""
FRAMES = 8
"""Frames of each clip that are proposed."""
MOSTLY = 0.5
"""The share of images from which a size is that of the data set; else it is the median of both sides."""

_CHANNELS = {"grey": 1, "rgb": 3}
Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A data set as it is found."""

    config: DatasetConfig
    """How it was read: the source, and what the user says of it."""
    name: str
    """Of the folder or file, without its suffix."""
    counts: dict[str, int]
    """Images by the splits that the source brings: `train`, and maybe `validation` and `test`."""
    class_counts: dict[str, int]
    """Training images by class name, before any is held out."""
    size: Size
    """The commonest size if most images have it, else the median of heights and of widths."""
    smallest: Size
    """The smallest height and the smallest width."""
    largest: Size
    channels: int
    """1 if all are grey, or are to be, else 3."""
    headers: int
    """Images whose header was read."""
    notes: tuple[str, ...] = ()
    """Sentences about how the source is taken."""
    recognised: bool = False
    """Whether it was found to be a data set of clips, without the user saying so."""

    @property
    def frames(self) -> int:
        """Frames of a clip; 0 if these are images."""
        return self.config.frames or 0

    @property
    def noun(self) -> str:
        """What one of its files is called, `image` or `clip`; where images are meant, clips are too."""
        return self.config.noun

    @property
    def pictures(self) -> str:
        """What is decoded of its files, `images` or `frames`."""
        return "frames" if self.frames else "images"

    def example_shape(self, size: Size) -> tuple[int, ...]:
        """What a network is given of a file at a height and width: those and channels, before them frames."""
        shape = (*size, self.channels)
        return (self.frames, *shape) if self.frames else shape

    @property
    def images(self) -> int:
        """Images of all splits."""
        return sum(self.counts.values())

    @property
    def fewest(self) -> tuple[str, int]:
        """The rarest class, and its training images."""
        return min(self.class_counts.items(), key=lambda item: item[1])

    @property
    def most(self) -> tuple[str, int]:
        """The commonest class, and its training images."""
        return max(self.class_counts.items(), key=lambda item: item[1])

    @property
    def whole(self) -> Size:
        """The size of a typical image, or the one that the user wants them to have: none is made larger."""
        given = self.config.image_size
        return self.size if given is None else (given, given) if isinstance(given, int) else given


def survey(config: DatasetConfig) -> Survey:
    """Look at a data set: count, and read the headers of some of its images.

    An archive is unpacked to the cache, and a data set that is known by name downloaded, as a sweep does it.
    Where there are videos and no images, or nothing but animations, it is taken as a data set of clips,
    unless the user has said what it is.

    Args:
        config: the `dataset` section of an experiment.

    Raises:
        DataError: it is missing or broken, or cannot be trained on.
    """
    unpacked = Store(cache()).unpacked
    if "frames" in config.model_fields_set:
        return _of(find_source(config, unpacked), config, recognised=False)
    try:
        source = find_source(config, unpacked)
        are_clips = isinstance(source, ImageFiles) and _are_animations(source)
    except ClipsFoundError:
        are_clips = True
    if not are_clips:
        return _of(source, config, recognised=False)
    config = config.model_copy(update={"frames": FRAMES})
    return _of(find_source(config, unpacked), config, recognised=True)


def _are_animations(source: ImageFiles) -> bool:
    """Whether all images are animated GIFs, as far as some of them tell."""
    if not all(file.path.suffix.lower() in CLIPS for file in source.files):
        return False
    some = source.files[:: -(-len(source.files) // CLIPS_SAMPLE)]
    kinds = [kind_of_file(file.path) for file in some]
    return all(SEVERAL in kind for kind in kinds if kind) and any(kinds)


def _of(source: Source, config: DatasetConfig, *, recognised: bool) -> Survey:
    if isinstance(source, ImageFiles):
        return _of_files(source, config, recognised=recognised)
    return _of_arrays(source, config)


def _of_files(source: ImageFiles, config: DatasetConfig, *, recognised: bool) -> Survey:
    from harness.data.clips import clip_header
    from harness.data.decode import Header, UnreadableError, read_header

    read, sample = (clip_header, CLIPS_SAMPLE) if config.frames else (read_header, SAMPLE)
    by_class = Counter(file.label for file in source.files if file.pool == "train")
    pools = Counter(file.pool for file in source.files)
    check_classes(source.name, source.classes, by_class, pools.keys())
    headers: list[Header] = []
    unreadable: list[str] = []
    for file in source.files[:: -(-len(source.files) // sample)]:
        try:
            headers.append(read(file.path.read_bytes(), config.max_pixels))
        except (UnreadableError, OSError) as error:
            unreadable.append(f"{file.name}: {error}")
    if not headers:
        raise DataError(
            f"None of the {config.noun}s of {source.name} can be read. The first: {unreadable[0]}."
        )
    notes = [*source.warnings]
    if unreadable:
        looked = counted(len(headers) + len(unreadable), config.noun)
        notes.append(
            f"Of {looked} that were looked at, {len(unreadable):,} cannot be read, so that a sweep leaves "
            f"such ones out. The first is {unreadable[0]}."
        )
    return Survey(
        config=config,
        name=source.name,
        counts={pool: pools[pool] for pool in POOLS if pools[pool]},
        class_counts={name: by_class[label] for label, name in enumerate(source.classes)},
        channels=_CHANNELS.get(config.color) or (1 if all(header.grey for header in headers) else 3),
        headers=len(headers),
        notes=tuple(map(as_text, notes)),
        recognised=recognised,
        **_sizes([(header.height, header.width) for header in headers]),
    )


def _of_arrays(source: ArraySource, config: DatasetConfig) -> Survey:
    arrays = source.read()
    labels = Counter(arrays.pools["train"][1].tolist())
    check_classes(arrays.name, arrays.classes, labels, set(arrays.pools))
    _, height, width, channels = arrays.pools["train"][0].shape
    if config.frames is not None:  # which says nothing of arrays
        config = DatasetConfig.model_validate(config.model_dump(exclude_unset=True, exclude={"frames"}))
    return Survey(
        config=config,
        name=source.name,
        counts={pool: len(arrays.pools[pool][1]) for pool in POOLS if pool in arrays.pools},
        class_counts={name: labels[label] for label, name in enumerate(arrays.classes)},
        channels=_CHANNELS.get(config.color) or int(channels),
        headers=0,
        notes=tuple(map(as_text, (*source.warnings, *arrays.warnings))),
        recognised=False,
        **_sizes([(int(height), int(width))]),
    )


class _Sizes(TypedDict):
    size: Size
    smallest: Size
    largest: Size


def _sizes(sizes: Sequence[Size]) -> _Sizes:
    heights, widths = [height for height, _ in sizes], [width for _, width in sizes]
    commonest, times = Counter(sizes).most_common(1)[0]
    middle = median_low(heights), median_low(widths)
    return {
        "size": commonest if times >= MOSTLY * len(sizes) else middle,
        "smallest": (min(heights), min(widths)),
        "largest": (max(heights), max(widths)),
    }
