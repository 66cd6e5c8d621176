"""Several workers on a GPU: as many as measured memory has room for, and fewer where it runs out."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from harness.engine.memory import GIB
from harness.engine.sharing import MOST_ON_GPU, RESERVE, SPREAD, USABLE, Sharing, asked_for, most_workers
from harness.gpus import Gpu

BIG = [Gpu("A", memory=40 * GIB, used=GIB), Gpu("B", memory=40 * GIB)]


def running(sharing: Sharing, workers: list[int]) -> None:
    for worker in workers:
        sharing.started(worker)


def test_one_worker_a_gpu_at_first_and_the_emptiest_gpu_first() -> None:
    sharing = Sharing(BIG, range(8), at_first=2)
    assert sharing.first() == [0, 1]
    assert [gpu.name for worker in (0, 1, 2, 3) if (gpu := sharing.gpu_of(worker))] == ["B", "A", "B", "A"]


def test_what_was_measured_decides_how_many_more_have_room() -> None:
    sharing = Sharing(BIG, range(8), at_first=2)
    running(sharing, sharing.first())
    # Each takes 1.25 · 8 + 1 GiB; planned with are 36 GiB of each, and 1 GiB of A is somebody else's.
    assert sharing.measured(8 * GIB) == [2, 4, 3, 5]
    running(sharing, [2, 4, 3, 5])
    assert sharing.measured(GIB) == [], "the largest counts"
    assert not sharing.is_crowded(2)
    assert sharing.measured(16 * GIB) == []
    assert all(sharing.is_crowded(worker) for worker in (0, 2, 4))
    for worker in (0, 2):
        sharing.ended(worker)
        assert not sharing.may_start(worker)
    assert not sharing.is_crowded(4)
    sharing.ended(4)
    assert sharing.may_start(4), "the last one always may"


def test_a_gpu_of_unknown_size_or_a_peak_of_unknown_size_adds_nobody() -> None:
    sharing = Sharing([Gpu("0")], range(4), at_first=1)
    running(sharing, [0])
    assert sharing.measured(1) == []
    assert not sharing.is_crowded(0)


def test_where_memory_runs_out_fewer_share_the_gpu_and_who_was_alone_is_to_blame() -> None:
    sharing = Sharing(BIG[:1], range(3))
    running(sharing, [0, 1, 2])
    for worker in (0, 1, 2):
        sharing.given(worker)
    assert sharing.ran_out(0)
    sharing.ended(0)
    assert not sharing.may_start(0)
    assert sharing.ran_out(1)
    sharing.ended(1)
    assert not sharing.may_start(1)
    assert sharing.ran_out(2), "it was not alone when it began"
    sharing.ended(2)
    assert sharing.may_start(2)
    sharing.started(2)
    sharing.given(2)
    assert not sharing.ran_out(2)


def test_without_gpus_nothing_is_shared() -> None:
    sharing = Sharing([], range(3))
    running(sharing, [0, 1, 2])
    sharing.given(0)
    assert sharing.first() == [0, 1, 2]
    assert sharing.gpu_of(0) is None
    assert sharing.measured(5) == []
    assert (sharing.ran_out(0), sharing.is_crowded(0), sharing.may_start(0)) == (False, False, True)


def test_a_number_that_somebody_chose_is_kept_and_what_does_not_fit_is_said_once() -> None:
    said: list[str] = []
    sharing = Sharing(BIG[1:], range(4), note=said.append)
    running(sharing, sharing.first())
    assert sharing.first() == [0, 1, 2, 3]
    assert sharing.measured(16 * GIB) == []
    assert sharing.measured(17 * GIB) == []
    assert not sharing.is_crowded(0)
    (sentence,) = said
    assert sentence.startswith(
        "GPU B is shared by 4 workers, and seems to have room for 1: one takes 21.0 GiB"
    )


def test_a_gpu_that_tensorflow_does_not_find_is_told_once() -> None:
    said: list[str] = []
    sharing = Sharing(BIG, range(2), note=said.append)
    sharing.trained(0, on_gpu=True)
    assert said == []
    for worker in (1, 0):
        sharing.trained(worker, on_gpu=False)
    (sentence,) = said
    assert sentence.startswith("Worker 1 has GPU A, but TensorFlow found none and trained on the processor.")
    Sharing([], range(2), note=said.append).trained(0, on_gpu=False)
    assert len(said) == 1


@pytest.mark.parametrize(
    ("workers", "begins"),
    [
        (2, None),
        (1, "workers: 1 use as many of the 2 GPUs"),
        (4, "workers: 2 share a GPU, about 18.0 GiB of its memory each."),
        (
            80,
            "workers: 40 share a GPU, about 0.9 GiB of its memory each, of which CUDA itself",
        ),
    ],
)
def test_a_number_of_workers_is_answered_with_a_sentence(workers: int, begins: str | None) -> None:
    said = asked_for(workers, BIG)
    assert said is None if begins is None else (said or "").startswith(begins)
    assert asked_for(workers, []) is None


def test_who_takes_all_memory_at_once_shares_with_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    assert most_workers(2, trials=50, gpus=2, cores=16) == 2 * MOST_ON_GPU
    assert most_workers(2, trials=50, gpus=2, cores=5) == 5
    assert most_workers(2, trials=3, gpus=2, cores=16) == 3
    assert most_workers(6, trials=50, gpus=0, cores=6) == 6
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    assert most_workers(2, trials=50, gpus=2, cores=16) == 2
    assert "choose --workers 2" in (asked_for(4, BIG) or "")


class SharedGpus(RuleBasedStateMachine):
    """Whatever happens, no GPU is without a worker, and none gets more than have room."""

    @initialize(
        sizes=st.lists(st.none() | st.integers(1, 80), min_size=1, max_size=3),
        more=st.integers(0, 9),
        chosen=st.booleans(),
    )
    def begin(self, sizes: list[int | None], more: int, chosen: bool) -> None:
        gpus = [Gpu(str(place), memory=size and size * GIB) for place, size in enumerate(sizes)]
        self.number = len(gpus) + more
        self.chosen = chosen
        self.sharing = Sharing(gpus, range(self.number), None if chosen else len(gpus))
        self.gpus, self.alive, self.peak = gpus, set(self.sharing.first()), 0.0
        running(self.sharing, sorted(self.alive))

    def on(self, gpu: Gpu) -> set[int]:
        return {worker for worker in self.alive if self.sharing.gpu_of(worker) == gpu}

    @rule(peak=st.integers(0, 60), data=st.data())
    def trained(self, peak: int, data: st.DataObject) -> None:
        started = self.sharing.measured(peak * GIB)
        self.peak = max(self.peak, peak * GIB)
        assert not set(started) & self.alive
        for worker in started:
            self.alive.add(worker)
            self.sharing.started(worker)
            gpu = self.sharing.gpu_of(worker)
            assert gpu is not None
            if not self.chosen:
                assert gpu.memory is not None
                assert len(self.on(gpu)) * (SPREAD * self.peak + RESERVE) <= USABLE * gpu.memory

    @rule(data=st.data(), runs_out=st.booleans())
    def replaced(self, data: st.DataObject, runs_out: bool) -> None:
        worker = data.draw(st.sampled_from(sorted(self.alive)))
        gpu = self.sharing.gpu_of(worker)
        assert gpu is not None
        before = len(self.on(gpu))
        self.sharing.given(worker)
        crowded = self.sharing.is_crowded(worker)
        assert not (before == 1 and crowded)
        if runs_out:
            assert self.sharing.ran_out(worker) == (before > 1)
        self.sharing.ended(worker)
        self.alive.discard(worker)
        if self.sharing.may_start(worker):
            assert not (runs_out and before > 1)
            self.alive.add(worker)
            self.sharing.started(worker)

    @precondition(lambda self: hasattr(self, "gpus"))
    @invariant()
    def every_gpu_has_a_worker(self) -> None:
        for gpu in self.gpus:
            assert self.on(gpu)


TestSharedGpus = SharedGpus.TestCase
TestSharedGpus.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)
