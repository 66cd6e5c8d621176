"""A folder of images, or a manifest that lists them, as files with labels."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG

from harness.data.sources import ImageFile, ImageFiles, Pool
from harness.errors import DataError

POOL_FOLDERS: dict[str, Pool] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
NOT_IMAGES = frozenset(
    [
        ".txt",
        ".csv",
        ".tsv",
        ".json",
        ".md",
        ".xml",
        ".html",
        ".yaml",
        ".yml",
        ".ini",
        ".db",
        ".py",
        ".pdf",
        ".zip",
        ".tar",
        ".gz",
        ".npy",
        ".npz",
        ".h5",
    ]
)
_PREFIX = re.compile(r"[_\-.]")


def scan_folder(root: Path, layout: str) -> ImageFiles:
    """All images below `root` with their classes.

    Class folders, or with `layout="prefix"` a flat folder; in either case with or without folders for
    train, validation and test on top. What is hidden, and files that are clearly something else, are
    passed over; every other file has to be an image.

    Raises:
        DataError: nothing usable is there.
    """
    if not root.exists():
        raise DataError(f"The folder {root} does not exist. Check the path given as the data set.")
    root = root.resolve()
    tops = _pools(root)
    labelled: list[tuple[Path, os.stat_result, str, Pool]] = []
    empty: list[str] = []
    strange: list[str] = []
    for pool, folder, skip in tops:
        found = (
            _by_prefix(folder, strange)
            if layout == "prefix"
            else _by_class_folder(folder, skip, empty, strange)
        )
        labelled += [(path, stat, label, pool) for path, stat, label in found]
    if not labelled:
        flat = any(True for _ in _files(root, [], deep=False))
        raise DataError(
            f"There are no class folders with images in {root}."
            + (
                " The images lie flat in it: if their names begin with the class, as in cat_001.jpg, add "
                "`--set dataset.layout=prefix`; else make a folder for each class."
                if flat
                else " Make a folder for each class and put its images inside."
            )
        )
    warnings = [f"The class folder {name} is empty and was left out." for name in empty]
    if strange:
        warnings.append(
            f"{len(strange)} entries that are neither files nor folders (links to nowhere, pipes, devices) "
            f"were left out, for example {strange[0]}."
        )
    return _collect(root.name, root, labelled, warnings)


def read_manifest(file: Path) -> ImageFiles:
    """The images that a CSV file with the columns `path,label[,split]` lists.

    Relative paths are relative to the file; `split` is train, validation (or val) or test.

    Raises:
        DataError: naming the line.
    """
    labelled: list[tuple[Path, os.stat_result, str, Pool]] = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            missing = {"path", "label"} - set(rows.fieldnames or [])
            if missing:
                raise DataError(
                    f"The manifest {file} has no column {' and no column '.join(sorted(missing))}; "
                    "its first line must be path,label or path,label,split."
                )
            labelled += [_manifest_row(file, rows.line_num, row) for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The manifest {file} is not a CSV file in UTF-8 ({error}).") from error
    except OSError as error:
        raise DataError(f"The manifest {file} cannot be read: {error.strerror}.") from error
    if not labelled:
        raise DataError(f"The manifest {file} lists no images.")
    return _collect(file.stem, file.parent.resolve(), labelled, [])


def _manifest_row(
    file: Path, line: int, row: dict[str, str | None]
) -> tuple[Path, os.stat_result, str, Pool]:
    path, label = (row.get("path") or "").strip(), (row.get("label") or "").strip()
    if not path or not label:
        raise DataError(f"{file}:{line}: the {'path' if not path else 'label'} is missing.")
    named = (row.get("split") or "train").strip().lower()
    pool = POOL_FOLDERS.get(named)
    if pool is None:
        raise DataError(f"{file}:{line}: the split {named!r} is none of train, validation, test.")
    full = file.parent / path
    try:
        found = full.stat()
    except (OSError, ValueError):
        raise DataError(f"{file}:{line}: the image {full} does not exist.") from None
    if not S_ISREG(found.st_mode):
        raise DataError(f"{file}:{line}: {full} is not a file.")
    return full, found, label, pool


def _pools(root: Path) -> list[tuple[Pool, Path, set[Path]]]:
    """Pool, its folder, and folders in it that belong to other pools."""
    folders = _subfolders(root)
    while len(folders) == 1 and not any(_files(root, [], deep=False)) and _subfolders(folders[0]):
        if folders[0].name.lower() in POOL_FOLDERS:
            break
        root, folders = folders[0], _subfolders(folders[0])  # a wrapping folder, as archives have them
    named = {POOL_FOLDERS[f.name.lower()]: f for f in folders if f.name.lower() in POOL_FOLDERS}
    if "train" not in named:
        # Folders called `test` or `val` beside class folders; everything else is for training.
        return [
            ("train", root, set(named.values())),
            *((pool, folder, set[Path]()) for pool, folder in named.items()),
        ]
    return [(pool, folder, set()) for pool, folder in named.items()]


def _by_class_folder(
    folder: Path, skip: set[Path], empty: list[str], strange: list[str]
) -> Iterator[tuple[Path, os.stat_result, str]]:
    for class_folder in _subfolders(folder):
        if class_folder in skip:
            continue
        count = 0
        for path, stat in _files(class_folder, strange, deep=True):
            count += 1
            yield path, stat, class_folder.name
        if not count:
            empty.append(class_folder.name)


def _by_prefix(folder: Path, strange: list[str]) -> Iterator[tuple[Path, os.stat_result, str]]:
    for path, stat in _files(folder, strange, deep=False):
        yield path, stat, _PREFIX.split(path.name, maxsplit=1)[0]


def _subfolders(folder: Path) -> list[Path]:
    try:
        entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except NotADirectoryError:
        raise DataError(
            f"{folder} is neither a folder, nor a .csv, .npz, .zip or .tar, nor a data set's name."
        ) from None
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be read: {error.strerror}.") from error
    return sorted(Path(entry.path) for entry in entries if _kind(entry) == "folder")


def _files(folder: Path, strange: list[str], *, deep: bool) -> Iterator[tuple[Path, os.stat_result]]:
    """Possible images, in a stable order; linked folders are entered once, so that a loop ends.

    What is neither a file nor a folder is added to `strange`: opening a pipe would wait for ever.
    """
    entered: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        own = current.stat()
        if (own.st_dev, own.st_ino) in entered:
            continue
        entered.add((own.st_dev, own.st_ino))
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError as error:
            raise DataError(f"The folder {current} cannot be read: {error.strerror}.") from error
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in ("thumbs.db", "desktop.ini"):
                continue
            kind = _kind(entry)
            if kind == "folder":
                if deep:
                    waiting.append(Path(entry.path))
            elif Path(entry.name).suffix.lower() in NOT_IMAGES:
                continue
            elif kind == "file" and (stat := _stat(entry)):
                yield Path(entry.path), stat
            else:
                strange.append(entry.path)


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:  # it has just gone
        return None


def _kind(entry: os.DirEntry[str]) -> str:
    """`folder`, `file`, or nothing that can be read: a pipe, a device, a link to nowhere or to itself."""
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else ""
    except OSError:
        return ""


def _collect(
    name: str,
    root: Path,
    labelled: list[tuple[Path, os.stat_result, str, Pool]],
    warnings: list[str],
) -> ImageFiles:
    for path, *_ in labelled:
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise DataError(f"The name {os.fsencode(path)!r} is not UTF-8. Rename it.") from None
    classes = tuple(sorted({label for *_, label, pool in labelled if pool == "train"}))
    number = {label: index for index, label in enumerate(classes)}
    unknown = {label for *_, label, _ in labelled} - set(classes)
    if unknown:
        raise DataError(f"The class {min(unknown)!r} has validation or test images, but none to train on.")
    files = tuple(
        ImageFile(
            path=path,
            name=os.path.relpath(path, root).replace(os.sep, "/"),
            label=number[label],
            pool=pool,
            size=stat.st_size,
            modified=stat.st_mtime_ns,
        )
        for path, stat, label, pool in labelled
    )
    return ImageFiles(name, classes, files, tuple(warnings))
