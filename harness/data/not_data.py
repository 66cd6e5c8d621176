"""What lies among images without being one: system folders, harness's own, masks, lists and documents."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from harness.data.split_names import words
from harness.paths import cache, holds_studies, home
from harness.paths.bundle import CHECKSUMS, METADATA, OLD_METADATA, SAVED_MODEL_GRAPH
from harness.paths.places import STUDIES
from harness.paths.prepared import DATASETS, INDEX

SYSTEM_FOLDERS = frozenset(
    name.casefold()
    for name in (
        "__MACOSX", "@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "RECYCLER", "lost+found",
        "System Volume Information", "__pycache__", "mlruns", "mlartifacts",
    )
)  # fmt: skip
SYSTEM_FILES = frozenset(["thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"])
TABLES = frozenset([".csv", ".tsv"])
DOCUMENTS = frozenset([
    ".md", ".html", ".htm", ".yaml", ".yml", ".ini", ".db", ".py", ".pdf", ".log", ".sh", ".bat",
    ".ipynb", ".rst", ".toml", ".cfg", ".js", ".css", ".lock", ".url", ".lnk", ".aae", ".xmp", ".sqlite",
    ".sqlite3",
])  # fmt: skip
"""Suffixes of files that are passed over without a word."""
OTHER_DATA = frozenset([
    ".csv", ".tsv", ".json", ".jsonl", ".xml", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z",
    ".rar", ".npy", ".npz", ".h5", ".hdf5", ".mat", ".pkl", ".pickle", ".parquet", ".arrow", ".feather",
    ".tfrecord", ".pt", ".pth", ".ckpt", ".keras", ".pb", ".onnx", ".tflite", ".mp4", ".avi", ".mov",
    ".mkv", ".webm", ".mp3", ".wav", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx",
])  # fmt: skip
"""Suffixes of files that are passed over and named, for they may hold labels or pictures."""
NOT_IMAGES = DOCUMENTS | OTHER_DATA | {".txt"}
_DOCUMENT_NAMES = frozenset([
    "readme", "license", "licence", "copying", "notice", "authors", "changelog", "makefile", "sha256sums",
])  # fmt: skip
_LISTS = frozenset([
    "label", "labels", "class", "classes", "train", "training", "val", "valid", "validation", "test",
    "split", "splits", "list", "lists", "annotation", "annotations", "metadata", "images", "files",
])  # fmt: skip
IMAGES = frozenset([
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff", ".ppm",
    ".pgm", ".pbm", ".pnm", ".heic", ".heif", ".avif",
])  # fmt: skip
"""Suffixes of pictures. In a class folder every other file has to be one too."""
MASKS = frozenset([
    "mask", "masks", "annotation", "annotations", "label", "labels", "segmentation", "segmentations",
    "gt", "groundtruth", "thumb", "thumbs", "thumbnail", "thumbnails",
])  # fmt: skip
"""What folders with something else than the pictures are called."""
PICTURES = frozenset([
    "image", "images", "img", "imgs", "pic", "pics", "picture", "pictures", "photo", "photos",
])  # fmt: skip
"""What the folder beside the images is called."""
_MASK_FILE = re.compile(
    r"(.+?)[ _-](?:mask|segmentation|seg|gt|label|thumb|thumbnail)(?:[ _-]?\d{1,2})?", re.IGNORECASE
)


_TRACES = (
    ((METADATA, CHECKSUMS), "an exported model"),
    ((OLD_METADATA, CHECKSUMS), "an exported model"),
    (("MLmodel",), "a saved model"),
    ((SAVED_MODEL_GRAPH,), "a saved model"),
    (("pyvenv.cfg",), "a virtual environment"),
)
"""Files that say what the folder is that holds all of them."""


def is_document(name: str) -> bool:
    """Whether a file is no image by its name."""
    stem, dot, suffix = name.rpartition(".")
    if not dot:
        return name.casefold() in _DOCUMENT_NAMES
    return bool(stem) and f".{suffix.lower()}" in NOT_IMAGES


def may_matter(name: str) -> bool:
    """Whether a file that is no image should be named when it is passed over: it may hold labels or
    pictures."""
    suffix = Path(name).suffix.lower()
    return suffix in OTHER_DATA or (suffix == ".txt" and not _LISTS.isdisjoint(words(Path(name).stem)))


def own_folder(path: str, names: Collection[str]) -> str:
    """What a folder is that holds such names, if it is a program's and no data; else an empty text.

    Args:
        path: the folder's.
        names: everything directly inside.
    """
    for traces, what in _TRACES:
        if all(name in names for name in traces):
            return what
    here = Path(path)
    if STUDIES in names and _same(here, home()):
        return "harness's studies"
    if (STUDIES in names or here.name == STUDIES) and holds_studies(here):
        return "harness's studies"
    if DATASETS in names and (_same(here, cache()) or (here / DATASETS / INDEX).is_dir()):
        return "prepared data"
    return ""


def is_mask_folder(name: str) -> bool:
    """Whether a folder's name says masks, annotations or thumbnails."""
    parts = words(name)
    return "".join(parts) in MASKS or (bool(parts) and set(parts) <= MASKS | {"ground", "truth"})


def is_picture_folder(name: str) -> bool:
    """Whether a folder's name says that the pictures are inside."""
    return "".join(words(name)) in PICTURES


def masked_stem(stem: str) -> str | None:
    """`a` for `a_mask` or `a_mask_1`: the stem of the picture that a file seems to be the mask of."""
    found = _MASK_FILE.fullmatch(stem)
    return found[1] if found else None


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
