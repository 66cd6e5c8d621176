"""The GPUs that this process may use: what CUDA_VISIBLE_DEVICES names, and what NVIDIA's driver says of them.

TensorFlow is not needed, and nothing is run where there is no `nvidia-smi`. A GPU that is split by MIG
(multi-instance GPU) is not one device but several, each with memory of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

VISIBLE = "CUDA_VISIBLE_DEVICES"
DRIVER_TOOL = "nvidia-smi"
ANSWER_SECONDS = 10.0
"""After which a driver that does not answer is taken to tell nothing."""
MIB = 1 << 20
MIG_MEMORY = 0.85
"""The share of the gigabytes in a MIG device's name that it has at least: one named 1g.18gb has 16 GiB."""
FIELDS = ("index", "uuid", "memory.total", "memory.used", "driver_version", "compute_cap", "mig.mode.current",
          "name")  # fmt: skip
"""What the driver is asked of each card; the name comes last, for it may have commas in it."""
_MIG_LINE = re.compile(r"\s*MIG (?P<profile>\S+)\s.*\(UUID: (?P<uuid>MIG-[^)\s]+)\)\s*$")
_CARD_LINE = re.compile(r"GPU \d+: .*\(UUID: (?P<uuid>GPU-[^)\s]+)\)\s*$")
_GIGABYTES = re.compile(r"\.(\d+)gb")


@dataclass(frozen=True, slots=True)
class Gpu:
    """A device that computes: a card, or a part of one that MIG has made."""

    name: str
    """What CUDA_VISIBLE_DEVICES is set to, so that a process sees this device and no other."""
    model: str = ""
    """Empty where the driver does not tell."""
    memory: int | None = None
    """Bytes; None where the driver does not tell."""
    used: int = 0
    """Bytes that were taken, by whomever, when the driver was asked."""
    capability: tuple[int, int] | None = None
    """CUDA's compute capability, as 8 and 0; None where the driver does not tell."""
    driver: str = ""
    """Its version; empty where it does not tell."""

    @property
    def free(self) -> int:
        """Bytes that nobody used; 0 where the driver does not tell."""
        return max(0, (self.memory or 0) - self.used)


@dataclass(frozen=True, slots=True)
class Card:
    """A line of what the driver was asked."""

    index: int
    """In the order of the bus, which is not CUDA's unless CUDA_DEVICE_ORDER says so."""
    uuid: str
    memory: int | None
    used: int
    driver: str
    capability: tuple[int, int] | None
    is_split: bool
    """Whether MIG is on, so that only its parts compute."""
    model: str


@dataclass(frozen=True, slots=True)
class MigDevice:
    """A part of a card, as the driver lists it."""

    card: str
    """UUID of the card."""
    uuid: str
    profile: str
    """Its size, such as `1g.5gb`."""

    @property
    def memory(self) -> int | None:
        """Bytes that it has at least; None where its name does not say."""
        gigabytes = _GIGABYTES.search(self.profile)
        return int(MIG_MEMORY * int(gigabytes[1]) * 1024) * MIB if gigabytes else None


@dataclass(frozen=True, slots=True)
class _Answer:
    lines: tuple[str, ...] = ()
    problem: str = ""
    """A sentence that says why there are none; empty: nothing is wrong."""


def gpus(*, again: bool = False) -> tuple[Gpu, ...]:
    """Those that this process may use, in the order of CUDA_VISIBLE_DEVICES, or else of the driver.

    Args:
        again: ask the driver anew, for what memory is free now; what it said first is remembered.
    """
    visible = os.environ.get(VISIBLE)
    if visible is not None and not _names(visible):
        return ()
    tool = shutil.which(DRIVER_TOOL)
    if tool is None:
        return chosen(visible, (), ())
    if again:
        _ask.cache_clear()
    cards = cards_of(_about_cards(tool).lines)
    split = any(card.is_split for card in cards) or "MIG-" in (visible or "")
    return chosen(visible, cards, mig_devices_of(_ask(tool, "-L").lines) if split else ())


def driver_problem() -> str:
    """A sentence where the driver's tool is there and GPUs may be used, but it tells of none; else empty."""
    tool, visible = shutil.which(DRIVER_TOOL), os.environ.get(VISIBLE)
    if tool is None or (visible is not None and not _names(visible)):
        return ""
    answer = _about_cards(tool)
    if answer.lines and not cards_of(answer.lines):
        return f"{DRIVER_TOOL} says what cannot be understood of its GPUs: {answer.lines[0].strip()!r}."
    return answer.problem


def has_driver() -> bool:
    """Whether NVIDIA's driver is installed, so that TensorFlow may find GPUs that nobody has named."""
    return shutil.which(DRIVER_TOOL) is not None


def visible_gpus() -> list[str]:
    """Their names, each for one process's CUDA_VISIBLE_DEVICES."""
    return [gpu.name for gpu in gpus()]


def gpu_memory() -> int | None:
    """Bytes of the smallest one's memory; None where there is none or the driver does not tell."""
    return min((gpu.memory for gpu in gpus() if gpu.memory is not None), default=None)


def gpu_models() -> tuple[tuple[str, ...], str]:
    """Their models, as far as the driver tells, and the version of the driver; nothing without one."""
    found = gpus()
    return tuple(gpu.model for gpu in found if gpu.model), next((gpu.driver for gpu in found), "")


def cards_of(lines: Sequence[str]) -> list[Card]:
    """What the driver says when it is asked for `FIELDS` as CSV; other lines are left out."""
    found = []
    for line in lines:
        cells = [cell.strip() for cell in line.split(",", len(FIELDS) - 1)]
        if len(cells) < len(FIELDS) or not cells[0].isdecimal() or not cells[1].startswith("GPU-"):
            continue
        index, uuid, memory, used, driver, capability, mig, model = cells
        found.append(
            Card(
                index=int(index),
                uuid=uuid,
                memory=_mebibytes(memory) or None,
                used=_mebibytes(used),
                driver=driver,
                capability=_capability(capability),
                is_split=mig == "Enabled",
                model=model,
            )
        )
    return found


def mig_devices_of(lines: Sequence[str]) -> list[MigDevice]:
    """The MIG devices in what `nvidia-smi -L` lists, each under its card."""
    found, card = [], ""
    for line in lines:
        if (begins := _CARD_LINE.match(line)) is not None:
            card = begins["uuid"]
        elif (part := _MIG_LINE.match(line)) is not None and card:
            found.append(MigDevice(card, part["uuid"], part["profile"]))
    return found


def chosen(visible: str | None, cards: Sequence[Card], parts: Sequence[MigDevice]) -> tuple[Gpu, ...]:
    """The devices that may be used.

    Args:
        visible: what CUDA_VISIBLE_DEVICES is set to; None: it is not set, and all may be used.
        cards: those of the machine, as the driver tells; where it tells nothing, names are believed.
        parts: MIG devices.
    """
    if visible is None:  # by UUIDs, which mean the same to CUDA and to the driver
        return tuple(one for card in cards for one in _of_card(card, parts))
    found: list[Gpu] = []
    for name in _names(visible):
        gpu = _meant(name, cards, parts)
        if gpu is None:  # CUDA sees only what comes before it
            break
        if gpu not in found:
            found.append(gpu)
    return tuple(found)


def _names(visible: str) -> list[str]:
    """The names in CUDA_VISIBLE_DEVICES up to the first that is none, such as -1: CUDA reads no further."""
    found = []
    for name in visible.split(","):
        own = name.strip()
        if not (own.isdecimal() or re.match(r"(GPU|MIG)-.", own)):
            break
        found.append(own)
    return found


def _meant(name: str, cards: Sequence[Card], parts: Sequence[MigDevice]) -> Gpu | None:
    """The device of this name; None if there is none."""
    if not cards:
        return Gpu(name)
    if name.startswith("MIG-"):
        return _meant_part(name, cards, parts)
    if name.isdecimal():
        if int(name) >= len(cards):
            return None
        by_index = [card for card in cards if card.index == int(name)]
        card = by_index[0] if by_index else cards[int(name)]
        if len({one.model for one in cards}) > 1 and os.environ.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
            # CUDA counts the fastest first: which one it means is not known, only what all of them have.
            return _least(name, card, cards, parts)
        return _named(name, card, parts)
    meant = [card for card in cards if card.uuid.startswith(name)]
    return _named(name, meant[0], parts) if len(meant) == 1 else None


def _meant_part(name: str, cards: Sequence[Card], parts: Sequence[MigDevice]) -> Gpu | None:
    meant = [part for part in parts if part.uuid.startswith(name)]
    exact = [part for part in meant if part.uuid == name] or meant
    if len(exact) == 1:
        card = next((card for card in cards if card.uuid == exact[0].card), None)
        return Gpu(name) if card is None else _part(name, card, exact[0])
    # As drivers before 470 have it: MIG-<UUID of the card>/<GPU instance>/<compute instance>.
    old = re.match(r"MIG-(GPU-[^/]+)/\d+/\d+$", name)
    card = next((card for card in cards if old is not None and card.uuid == old[1]), None)
    if card is not None:
        return _named(name, card, parts)
    return None if parts else Gpu(name)


def _of_card(card: Card, parts: Sequence[MigDevice]) -> list[Gpu]:
    """What computes on a card: itself, or the parts that MIG has made of it."""
    if not card.is_split:
        return [_named(card.uuid, card, parts)]
    return [_part(part.uuid, card, part) for part in parts if part.card == card.uuid]


def _named(name: str, card: Card, parts: Sequence[MigDevice]) -> Gpu:
    """A card, or, of one that is split, whichever of its parts CUDA takes."""
    sizes = [part.memory for part in parts if part.card == card.uuid and part.memory is not None]
    memory = min(sizes, default=None) if card.is_split else card.memory
    used = 0 if card.is_split else card.used
    return Gpu(name, card.model, memory, used, card.capability, card.driver)


def _part(name: str, card: Card, part: MigDevice) -> Gpu:
    """A MIG device; the driver does not tell how much of its memory is taken."""
    model = f"{card.model} MIG {part.profile}"
    return Gpu(name, model, part.memory, 0, card.capability, card.driver)


def _least(name: str, card: Card, cards: Sequence[Card], parts: Sequence[MigDevice]) -> Gpu:
    """A device that is one of several different cards: the least memory and capability of all."""
    each = [_named(name, one, parts) for one in cards]
    known = [one.memory for one in each if one.memory is not None]
    capable = [one.capability for one in each if one.capability is not None]
    return Gpu(
        name,
        card.model,
        min(known) if len(known) == len(each) else None,
        max(one.used for one in each),
        min(capable) if len(capable) == len(each) else None,
        card.driver,
    )


def _mebibytes(text: str) -> int:
    """Bytes; 0 where the driver says that it does not know."""
    return int(text) * MIB if text.isdecimal() else 0


def _capability(text: str) -> tuple[int, int] | None:
    major, _, minor = text.partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None


def _about_cards(tool: str) -> _Answer:
    return _ask(tool, f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits")


@cache
def _ask(tool: str, *arguments: str) -> _Answer:
    """What the driver's tool prints; that costs up to a second, so it is asked once."""
    try:
        done = subprocess.run(
            [tool, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _Answer(problem=f"{tool} has not answered within {ANSWER_SECONDS:g} s.")
    except OSError as error:
        return _Answer(problem=f"{tool} cannot be run: {error.strerror or error}.")
    lines = tuple(line for line in done.stdout.splitlines() if line.strip())
    if done.returncode == 0:
        return _Answer(lines)
    said = next((line.strip() for line in (*lines, *done.stderr.splitlines()) if line.strip()), "")
    if said.startswith("No devices were found"):
        return _Answer()
    return _Answer(
        problem=f"{tool} has failed with status {done.returncode}: {said or 'it printed nothing'}."
    )
