"""Which workers compute on which GPU: one on each at first, and more as far as measured memory allows.

A worker takes memory as it needs it. What its tensors have taken at most is told after every segment, and
decides how many workers of this study have room on a GPU. Where memory runs out all the same, the GPU is
shared by one worker fewer from then on; and what failed is tried again, for it may fit alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from harness.engine.memory import GIB
from harness.gpus import Gpu

MOST_ON_GPU = 4
"""Workers that share a GPU at most, unless somebody says otherwise."""
USABLE = 0.9
"""The share of a GPU's memory that is planned with."""
RESERVE = GIB
"""Bytes that a worker takes on a GPU beside its tensors: CUDA's context, kernels, libraries."""
SPREAD = 1.25
"""What a worker takes of what its tensors need: memory is in pieces, and other trials may be larger."""
GROWTH = "TF_FORCE_GPU_ALLOW_GROWTH"
"""The environment variable by which TensorFlow takes memory as it needs it, or with `false` all at once."""
OUT_OF_MEMORY = ("CUDA_ERROR_OUT_OF_MEMORY", "RESOURCE_EXHAUSTED", "failed with status: out of memory")
"""What the log of a worker says that has ended because its GPU had no memory left."""


def grows() -> bool:
    """Whether workers take memory as they need it, so that several of them can share a GPU at all."""
    return os.environ.get(GROWTH) != "false"


def most_workers(at_first: int, trials: int, gpus: int, cores: int) -> int:
    """How many workers there may be when it is known what they need.

    Args:
        at_first: how many start.
        trials: of the study.
        gpus: that they share.
        cores: that they share; each has one of its own.
    """
    return max(at_first, min(trials, cores, MOST_ON_GPU * gpus)) if gpus and grows() else at_first


def asked_for(workers: int, gpus: Sequence[Gpu]) -> str | None:
    """What to say of a number of workers that somebody has asked for; None if there is nothing to say."""
    if not gpus or workers == len(gpus):
        return None
    if workers < len(gpus):
        return f"workers: {workers} use as many of the {len(gpus)} GPUs; each worker trains on one."
    most = -(-workers // len(gpus))
    if not grows():
        return (
            f"workers: {most} share a GPU, but with {GROWTH}=false each takes all of its memory. Unset it, "
            f"or choose --workers {len(gpus)}."
        )
    sizes = [gpu.memory for gpu in gpus if gpu.memory is not None]
    about = ", whose memory the driver does not tell"
    if sizes:
        each = USABLE * min(sizes) / most
        about = f", about {each / GIB:.1f} GiB of its memory each"
        if each <= RESERVE:
            about += f", of which CUDA itself takes up to {RESERVE / GIB:g} GiB"
    return f"workers: {most} share a GPU{about}. What they need is measured."


class Sharing:
    """Deals out workers to GPUs, and remembers which of them run."""

    def __init__(
        self,
        gpus: Iterable[Gpu],
        workers: Sequence[int],
        at_first: int | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Nothing runs yet.

        Args:
            gpus: those that the workers share; without any, nobody has to share.
            workers: their numbers.
            at_first: how many of them start before it is known what they need; None: all of them, because
                somebody has chosen their number.
            note: told what a person should know.
        """
        self._gpus = sorted(gpus, key=lambda gpu: -gpu.free)  # the one that is used least comes first
        self._workers = list(workers)
        self._at_first = at_first
        self._note = note
        self._running: set[int] = set()
        self._shared: set[int] = set()
        """Workers that were not alone on their GPU all the time since they were given their segment."""
        self._most: dict[str, int] = {}
        """By GPU, how many may share it since its memory ran out."""
        self._needed: float | None = None
        """Bytes that a worker needs; None: that is not known yet."""
        self._told = False
        self._unused = False
        """Whether it was said that a GPU is not used."""

    def gpu_of(self, worker: int) -> Gpu | None:
        """The GPU of a worker; None where there is none."""
        return self._gpus[worker % len(self._gpus)] if self._gpus else None

    def first(self) -> list[int]:
        """The workers that start at once."""
        return self._workers if self._at_first is None else self._workers[: self._at_first]

    def started(self, worker: int) -> None:
        """A process of this worker runs."""
        self._running.add(worker)
        self._shared.update(self._beside(worker))

    def ended(self, worker: int) -> None:
        """No process of this worker runs any more."""
        self._running.discard(worker)

    def given(self, worker: int) -> None:
        """The worker is given a segment, or a question."""
        if self._beside(worker):
            self._shared.add(worker)
        else:
            self._shared.discard(worker)

    def measured(self, peak: int) -> list[int]:
        """A worker's tensors have taken so many bytes; returns the workers that there is room for as well."""
        needed = SPREAD * peak + RESERVE
        self._needed = needed if self._needed is None else max(self._needed, needed)
        self._say_if_crowded()
        return [worker for gpu in self._gpus for worker in self._room_for(gpu)]

    def trained(self, worker: int, *, on_gpu: bool) -> None:
        """A worker has trained a segment; says it once where its GPU was not used."""
        gpu = self.gpu_of(worker)
        if gpu is not None and not on_gpu and not self._unused:
            self._unused = True
            self._note(
                f"Worker {worker} has GPU {gpu.name}, but TensorFlow found none and trained on the processor."
                " Its GPU libraries come with: pip install 'tensorflow[and-cuda]'"
            )

    def ran_out(self, worker: int) -> bool:
        """The worker's GPU had no memory left: whether others may be to blame, which were on it as well."""
        gpu = self.gpu_of(worker)
        if gpu is None:
            return False
        if (number := len(self._on(gpu) | {worker})) > 1:
            self._most[gpu.name] = number - 1
        return worker in self._shared

    def is_crowded(self, worker: int) -> bool:
        """Whether more workers run on this one's GPU than there is room for."""
        gpu = self.gpu_of(worker)
        return gpu is not None and len(self._on(gpu)) > self._allowed(gpu)

    def may_start(self, worker: int) -> bool:
        """Whether there is room for a worker that does not run."""
        gpu = self.gpu_of(worker)
        return gpu is None or len(self._on(gpu) - {worker}) < self._allowed(gpu)

    def _on(self, gpu: Gpu) -> set[int]:
        return {worker for worker in self._running if self.gpu_of(worker) == gpu}

    def _beside(self, worker: int) -> set[int]:
        gpu = self.gpu_of(worker)
        return set() if gpu is None else self._on(gpu) - {worker}

    def _slots(self, gpu: Gpu) -> list[int]:
        return [worker for worker in self._workers if self.gpu_of(worker) == gpu]

    def _allowed(self, gpu: Gpu) -> int:
        """How many may run on a GPU, at least one."""
        most = min(len(self._slots(gpu)), self._most.get(gpu.name, len(self._workers)))
        if self._at_first is not None:
            first = len([worker for worker in self.first() if self.gpu_of(worker) == gpu])
            fits = self._fits(gpu)
            most = min(most, max(1, first) if fits is None else fits)
        return max(1, most)

    def _fits(self, gpu: Gpu) -> int | None:
        """How many have room on a GPU by what is known of them; None if nothing is."""
        if self._needed is None or gpu.memory is None:
            return None
        return int((USABLE * gpu.memory - gpu.used) // self._needed)

    def _room_for(self, gpu: Gpu) -> list[int]:
        waiting = [worker for worker in self._slots(gpu) if worker not in self._running]
        return waiting[: max(0, self._allowed(gpu) - len(self._on(gpu)))]

    def _say_if_crowded(self) -> None:
        """Say once that a number of workers which somebody has chosen does not seem to fit."""
        if self._told or self._at_first is not None:
            return
        for gpu in self._gpus:
            fits, number = self._fits(gpu), len(self._slots(gpu))
            if fits is not None and number > max(1, fits):
                self._told = True
                assert self._needed is not None
                self._note(
                    f"GPU {gpu.name} is shared by {number} workers, and seems to have room for "
                    f"{max(1, fits)}: one takes {self._needed / GIB:.1f} GiB. Where memory runs out, "
                    "fewer will share it."
                )
                return
