"""Prepared data divided into training, validation and test images, none of which is in two of them."""

from __future__ import annotations

import hashlib
import io
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.data.folds import Parts, dealt_out, too_rare
from harness.data.group_split import hold_out_groups
from harness.data.groups import Groups, Units, digest_of_units, units
from harness.data.kept_together import near_duplicates
from harness.data.manifest import Manifest
from harness.data.sealed import sealed_arrays
from harness.data.sentences import counted, listed
from harness.data.source import Pool
from harness.data.split import Indices, hold_out, limit, part_digest
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig
from harness.paths import write_file
from harness.paths.prepared import hashes_file, labels_file, sealed_name, split_name
from harness.records import Dataset, Progress

Labels = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]
PAIRS = (("validation", "test"), ("train", "test"), ("train", "validation"))
"""Images that two parts share are left out of the first one of the two."""


@dataclass(slots=True)
class _Pools:
    """What the source brings, by pool."""

    classes: list[str]
    labels: dict[str, Labels]
    hashes: dict[str, Hashes]
    used: dict[str, Indices]
    """Readable images that are in no other pool."""
    units: dict[str, Units]
    """By pool, numbers that are equal where images must stay together: identical ones, those of a group, and
    near-duplicates if these are to."""
    together: str
    """What others must stay together than identical images, in words; empty if none must."""
    noun: str
    """What one of the images is called."""
    warnings: list[str] = field(default_factory=list)

    def held_out(self, train: Indices, fraction: float, seed: int, what: str) -> tuple[Indices, Indices]:
        """What stays for training, and what is held out."""
        if self.together:
            own, units = self.labels["train"], self.units["train"]
            return hold_out_groups(train, own, units, fraction, seed, classes=self.classes, what=what)
        self._check_enough(train, what if fraction else "")
        labels, hashes = self.labels["train"], self.hashes["train"]
        return hold_out(train, labels, hashes, fraction, seed, classes=self.classes, what=what)

    def dealt_out(self, train: Indices, config: DatasetConfig, seed: int) -> Parts | None:
        """The part of each training image, dealt out so often: int16 (repeats, N); None without folds."""
        if config.folds is None:
            return None
        labels, units = self.labels["train"][train], self.units["train"][train]
        if not self.together:
            self._check_enough(train, "validation")
        rare = too_rare(labels, units, config.folds, classes=self.classes)
        self.warnings.extend([rare] if rare else [])
        return dealt_out(labels, units, config.folds, config.repeats, seed, classes=self.classes)

    def _check_enough(self, train: Indices, what: str) -> None:
        """Say why a class has too few images to hold some out, where these are not simply few."""
        if not what:
            return
        labels, hashes = self.labels["train"][train], self.hashes["train"][train]
        _, first = np.unique(hashes, return_index=True)
        counts = np.bincount(labels[first], minlength=len(self.classes))
        for label in np.flatnonzero(counts < 2):
            own = hashes[labels == label]
            elsewhere = labels[np.isin(hashes, own) & (labels != label)]
            name = self.classes[label]
            if not len(own):
                raise DataError(
                    f"The class {name!r} has no {self.noun} left to train on: all are unreadable, or test or "
                    f"validation {self.noun}s as well. Add {self.noun}s, or remove the class."
                )
            if len(elsewhere):
                others = listed(repr(self.classes[other]) for other in np.unique(elsewhere))
                shared = int(np.isin(own, hashes[labels != label]).sum())
                raise DataError(
                    f"{shared:,} of the {counted(len(own), self.noun)} of the class {name!r} are also in "
                    f"{others}: the same picture cannot be of two classes. Remove them from one, or leave a "
                    f"class out: --set 'dataset.ignore=[{name}]'."
                )
            if len(own) > 1 and len(np.unique(own)) == 1:
                raise DataError(
                    f"The {len(own):,} {self.noun}s of the class {name!r} are all the same picture, so that "
                    f"none can be held out for {what}. Add {self.noun}s, or remove the class."
                )


def divide(
    folder: Path,
    manifest: Manifest,
    config: DatasetConfig,
    seed: int,
    groups: Groups | None = None,
    progress: Progress = lambda *_: None,
) -> Dataset:
    """One split of prepared data: what the source brings, and for the rest what is held out of training.

    Args:
        folder: of the prepared data.
        manifest: of the folder.
        config: how much is held out.
        seed: decides what is held out for validation.
        groups: of the images; None if there are none.
        progress: told while near-duplicates are looked for.

    Raises:
        DataError: a class or a split has too few images.
    """
    pools = _read(folder, manifest, groups, config, progress)
    _judge_unreadable(pools, config)
    digest = _without_shared(pools, manifest.digest)
    where: dict[str, Pool] = {"train": "train", "validation": "validation", "test": "test"}
    train = pools.used["train"]
    if "test" in pools.used:
        test = pools.used["test"]
    else:
        where["test"] = "train"
        train, test = pools.held_out(train, config.test_fraction, int(manifest.digest[:8], 16), "the test")
    if config.limit_train is not None:
        train = limit(train, pools.labels["train"], config.limit_train, seed, classes=pools.classes)
    if config.folds is not None:
        _refuse_own_validation(pools, config.folds)
        where["validation"], validation = "train", np.zeros(0, np.int64)
    elif "validation" in pools.used:
        validation = pools.used["validation"]
    else:
        where["validation"] = "train"
        train, validation = pools.held_out(train, config.validation_fraction, seed, "validation")
    parts = {"train": train, "validation": validation, "test": test}
    labels = {part: pools.labels[where[part]][indices] for part, indices in parts.items()}
    hashes = {part: pools.hashes[where[part]][indices] for part, indices in parts.items()}
    _check_classes_left(pools, labels)
    key = f"{seed} {config.validation_fraction} {config.test_fraction} {config.limit_train}"
    if config.folds is not None:
        key += f" {config.repeats} × {config.folds} folds"
    if pools.together:
        key += f" groups {digest_of_units(pools.units)}"
    if digest != manifest.digest:
        key += " without what validation shares with test"
    split = _write(folder, key, parts, where, pools.dealt_out(train, config, seed))
    counts = np.bincount(labels["train"], minlength=len(pools.classes))
    *frames, height, width, channels = manifest.image_shape
    return Dataset(
        name=manifest.name,
        folder=str(folder),
        split=split,
        digest=digest,
        classes=tuple(pools.classes),
        image_shape=(height, width, channels),
        frames=frames[0] if frames else 0,
        split_digests={part: part_digest(hashes[part], labels[part]) for part in parts},
        counts={part: len(indices) for part, indices in parts.items()},
        class_counts={name: int(count) for name, count in zip(pools.classes, counts, strict=True)},
        folds=config.folds or 0,
        repeats=config.repeats,
        warnings=tuple(pools.warnings),
    )


def _refuse_own_validation(pools: _Pools, folds: int) -> None:
    """Folds take the place of a validation split; one that the source brings must not be lost in silence."""
    if "validation" in pools.used:
        raise DataError(
            f"The data set brings {counted(len(pools.used['validation']), f'validation {pools.noun}')} of "
            "its own, "
            f"and dataset.folds is {folds}, which validates on parts of the training images. Leave out "
            "dataset.folds; or have the data set's validation images trained on, too, such as by --set "
            "'dataset.splits={train: [train, val], test: [test]}' with the names of its own splits."
        )


def _judge_unreadable(pools: _Pools, config: DatasetConfig) -> None:
    """What was prepared for somebody who allows more may be too much now."""
    total = sum(len(labels) for labels in pools.labels.values())
    lost = total - sum(len(used) for used in pools.used.values())
    if lost > config.max_unreadable * total:
        raise DataError(
            f"{lost} of {total} {config.noun}s cannot be read, more than the allowed share of "
            f"{config.max_unreadable:.0%} (dataset.max_unreadable). Mend or remove them."
        )


def _read(
    folder: Path, manifest: Manifest, groups: Groups | None, config: DatasetConfig, progress: Progress
) -> _Pools:
    labels: dict[str, Labels] = {p: np.load(labels_file(folder, p)) for p in manifest.pools}
    hashes: dict[str, Hashes] = {p: np.load(hashes_file(folder, p)) for p in manifest.pools}
    used: dict[str, Indices] = {p: np.flatnonzero(labels[p] >= 0) for p in manifest.pools}
    near = near_duplicates(folder, used, progress) if config.keep_together == "near_duplicates" else None
    others = ["nearly the same as some"] if near and near.found else []
    others += ["of a group with some"] if groups else []
    names, links = (groups.names if groups else None), (near.links if near else None)
    together = units(hashes, names, used, links) if others else hashes
    pools = _Pools(manifest.classes, labels, hashes, used, together, " or ".join(others), config.noun)
    pools.warnings.extend(found.said for found in (groups, near) if found is not None)
    _warn_of_lookalikes(pools)
    _warn_of_contradictions(pools)
    return pools


def _without_shared(pools: _Pools, digest: str) -> str:
    """Leave images out that are in two pools; another digest than the data's if validation has become
    smaller."""
    for one, other in PAIRS:
        if one not in pools.used or other not in pools.used:
            continue
        there = pools.units[other][pools.used[other]]
        shared = np.isin(pools.units[one][pools.used[one]], there)
        also = f"are also {other} {pools.noun}s" + (f", or {pools.together}," if pools.together else "")
        number = int(shared.sum())
        if not number:
            continue
        pools.used[one] = pools.used[one][~shared]
        if one == "train":
            pools.warnings.append(f"{number} training {pools.noun}s that {also} were left out of training.")
            continue
        # Studies of the time when these images still counted cannot be compared.
        digest = hashlib.sha256(f"{digest} without {number}".encode()).hexdigest()
        pools.warnings.append(f"{number} validation {pools.noun}s that {also} were left out of validation.")
        if not len(pools.used[one]):
            raise DataError(
                f"All validation {pools.noun}s are test {pools.noun}s as well, so that no choice between "
                "models would be independent of the test. Give other ones, or pass one of the two splits "
                "over with dataset.ignore."
            )
    return digest


def _check_classes_left(pools: _Pools, labels: dict[str, Labels]) -> None:
    """Every class is trained on; those without images to judge by are named."""
    for part in ("train", "validation", "test"):
        counts = np.bincount(labels[part], minlength=len(pools.classes))
        missing = [pools.classes[label] for label in np.flatnonzero(counts == 0)]
        if not missing or not len(labels[part]):
            continue
        if part == "train":
            raise DataError(
                f"No {pools.noun} is left to train the class {missing[0]!r} on: they are unreadable, or "
                f"test or validation {pools.noun}s as well. Add {pools.noun}s, or remove the class."
            )
        has = "has" if len(missing) == 1 else "have"
        pools.warnings.append(
            f"{len(missing)} of {len(pools.classes)} classes {has} no {part} {pools.noun}s "
            f"({listed(missing)}): nothing is known of {'it' if len(missing) == 1 else 'them'} there, and "
            f"macro averages leave {'it' if len(missing) == 1 else 'them'} out."
        )


def _write(
    folder: Path,
    key: str,
    parts: dict[str, Indices],
    where: dict[str, Pool],
    folds: Parts | None,
) -> str:
    """Write a split, and which the test images are into a file apart; the name of the split's file.

    With folds, it says to which parts its training images are dealt out.
    """
    name = split_name(key)
    pools = np.array([where[part] for part in ("train", "validation")])
    kept = {"train": parts["train"], "validation": parts["validation"], "pools": pools}
    _write_arrays(folder / name, kept | ({} if folds is None else {"folds": folds}))
    _write_arrays(folder / sealed_name(name), sealed_arrays(parts["test"], where["test"]))
    return name


def _write_arrays(file: Path, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    # It is computed every time, so a file that differs is damaged.
    if not file.exists() or file.read_bytes() != content.getvalue():
        write_file(file, lambda temporary: temporary.write_bytes(content.getvalue()))


def _warn_of_lookalikes(pools: _Pools) -> None:
    """Names that some file systems, and most people, take for the same."""
    known: dict[str, str] = {}
    for name in pools.classes:
        other = known.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            pools.warnings.append(
                f"The classes {other!r} and {name!r} differ only in case or accents' encoding; if they are "
                "the same, merge them."
            )


def _warn_of_contradictions(pools: _Pools) -> None:
    """Identical images under two labels: the user should know, but only they can say which is right."""
    every = np.concatenate([pools.hashes[pool][used] for pool, used in pools.used.items()])
    named = np.concatenate([pools.labels[pool][used] for pool, used in pools.used.items()])
    order = np.argsort(every, kind="stable")
    every, named = every[order], named[order]
    clash = np.flatnonzero((every[1:] == every[:-1]) & (named[1:] != named[:-1]))
    if len(clash):
        one, other = pools.classes[named[clash[0]]], pools.classes[named[clash[0] + 1]]
        pools.warnings.append(
            f"{len(clash)} pairs of identical {pools.noun}s have two labels, for example {one!r} and "
            f"{other!r}."
        )
