"""What counts as the same: made-up logs, compared as two trainings are."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model_weights import read_weights, weights_digest
from harness.paths import sha256_of
from harness.records import (
    Checkpoint,
    CheckpointSaved,
    Device,
    Environment,
    EpochEnded,
    LogRecord,
    ModelSaved,
    SegmentEnded,
    SegmentStarted,
    StudyStarted,
    TrialStarted,
)
from harness.reproducing.comparison import compare_epochs
from harness.reproducing.record import Setting, Stretch, TrialRecord, trial_record
from harness.reproducing.surroundings import Changed, all_changes, device_changes
from harness.reproducing.weights import compare_weights
from tests.studies import study_started

MACHINE = Environment(
    processor="model 1", instruction_sets=("avx2",), cores=2, gpus=(), gpu_driver="", workers=2, threads=1,
    threads_between=1, variables={"TF_ENABLE_ONEDNN_OPTS": "default"}, code={"harness": "c0de"},
)  # fmt: skip


def began(session: int = 1, **machine: Any) -> StudyStarted:
    return study_started(
        session=session, environment=replace(MACHINE, **machine), host={"cores": 2}, versions={"keras": "3"}
    )


def segment(attempt: int, start: int, **more: Any) -> SegmentStarted:
    return SegmentStarted(trial=0, attempt=attempt, start=start, stop=9, worker=0, time=0, **more)


def epoch(attempt: int, number: int, **metrics: float) -> EpochEnded:
    found = {"loss": 1 / number, "val_loss": 2 / number, "epoch_seconds": float(attempt)} | metrics
    return EpochEnded(trial=0, attempt=attempt, epoch=number, metrics=found, time=0)


def saved(attempt: int, number: int, sha256: str = "") -> CheckpointSaved:
    checkpoint = Checkpoint(file=f"{number}", sha256=sha256 or f"state {number}", epoch=number)
    return CheckpointSaved(trial=0, attempt=attempt, checkpoint=checkpoint, time=0)


def record(*events: Any) -> TrialRecord:
    trial = TrialStarted(trial=0, params={}, sampled={}, seed=0, time=0)
    first, *others = events
    return trial_record([LogRecord(seq, one) for seq, one in enumerate([first, trial, *others], 1)], 0)


def straight(epochs: int = 4, **changed: dict[str, float]) -> TrialRecord:
    """A training in one segment, with other metrics in the epochs `eN`."""
    told = [
        event
        for number in range(1, epochs + 1)
        for event in (epoch(1, number, **changed.get(f"e{number}", {})), saved(1, number))
    ]
    return record(began(), segment(1, 0), *told)


def test_however_a_trial_came_there_the_same_numbers_are_identical() -> None:
    """In one segment; paused after epoch 2; killed in epoch 3, which was told but had no checkpoint."""
    paused = record(
        began(), segment(1, 0), epoch(1, 1), saved(1, 1), epoch(1, 2), saved(1, 2),
        segment(2, 2), epoch(2, 3), saved(2, 3), epoch(2, 4), saved(2, 4),
    )  # fmt: skip
    killed = record(
        began(), segment(1, 0), epoch(1, 1), saved(1, 1), epoch(1, 2), saved(1, 2), epoch(1, 3),
        began(2), segment(2, 2), epoch(2, 3), saved(2, 3), epoch(2, 4), saved(2, 4),
    )  # fmt: skip
    for other in (paused, killed):
        found = compare_epochs(straight(), other, states=True)
        assert found.all_identical
        assert (found.identical, found.states, found.states_identical) == (4, 4, 4)
        assert found.largest is None
    assert [one.session for one in killed.sessions] == [1, 2]
    assert len(killed.metrics[3]) == 2


@given(st.integers(1, 4), st.sampled_from(["loss", "val_loss"]), st.floats(-3, 3), st.booleans())
def test_the_first_epoch_of_difference_is_found_and_its_size(
    at: int, name: str, value: float, swapped: bool
) -> None:
    """To the last bit, whichever of the two records has the other number."""
    own = {"loss": 1 / at, "val_loss": 2 / at}[name]
    pair = [straight(), straight(**{f"e{at}": {name: value}})]
    found = compare_epochs(*(pair[::-1] if swapped else pair), states=True)
    if value == own:
        assert found.all_identical
        return
    assert found.first_difference == at
    assert found.largest is not None
    assert (found.largest.epoch, found.largest.name) == (at, name)
    assert found.largest.size == abs(value - own)
    assert found.identical == 3


def test_a_number_that_was_tampered_with_in_one_of_two_records_of_an_epoch_is_found() -> None:
    twice = record(
        began(), segment(1, 0), epoch(1, 1), saved(1, 1), epoch(1, 2, loss=0.4),
        segment(2, 1), epoch(2, 2), saved(2, 2),
    )  # fmt: skip
    found = compare_epochs(twice, straight(2), states=True)
    assert found.first_difference == 2
    assert [one.recorded for one in found.differences] == [0.4]


def test_what_is_not_a_number_equals_itself_and_nothing_else() -> None:
    nan = {"e2": {"loss": math.nan}}
    assert compare_epochs(straight(**nan), straight(**nan), states=True).all_identical
    found = compare_epochs(straight(**nan), straight(), states=True)
    assert found.first_difference == 2
    assert found.largest is not None
    assert found.largest.relative == math.inf


def test_times_do_not_count_and_metrics_of_one_only_are_named() -> None:
    more = {f"e{number}": {"val_auroc": 0.5, "images_per_second": 9.0} for number in range(1, 5)}
    found = compare_epochs(straight(), straight(**more), states=True)
    assert found.all_identical
    assert (found.only_recorded, found.only_now) == ((), ("val_auroc",))


def test_a_state_that_differs_counts_only_where_both_were_written_alike() -> None:
    other = record(began(), segment(1, 0), epoch(1, 1), saved(1, 1), epoch(1, 2), saved(1, 2, "another"))
    found = compare_epochs(straight(2), other, states=True)
    assert (found.first_difference, found.identical, found.states_identical) == (2, 2, 1)
    found = compare_epochs(straight(2), other, states=False)
    assert found.all_identical
    assert found.states == 1


def test_an_epoch_that_only_one_of_them_has_is_a_difference() -> None:
    assert compare_epochs(straight(4), straight(3), states=True).first_difference == 4


def test_each_epoch_keeps_the_threads_and_the_parts_of_a_batch_that_it_was_trained_with() -> None:
    """Those of the attempt that the trial went on from; of others the records do not count."""
    found = record(
        began(threads=1), segment(1, 0), epoch(1, 1), saved(1, 1), epoch(1, 2, loss=0.3),
        began(2, threads=3), segment(2, 1), epoch(2, 2), saved(2, 2),
        segment(3, 2, microbatches=2), epoch(3, 3), epoch(3, 4),
    )  # fmt: skip
    assert found.stretches == (
        Stretch(1, Setting(1, 1)), Stretch(2, Setting(3, 1)), Stretch(4, Setting(3, 2))
    )  # fmt: skip
    assert [one["loss"] for one in found.metrics[2]] == [0.5]


def test_threads_that_no_version_had_recorded_follow_from_cores_and_workers() -> None:
    opened = study_started(host={"cores": 8})
    on = replace(segment(1, 0), worker=1)
    assert record(opened, on, epoch(1, 1)).stretches == (Stretch(1, Setting(4, 1)),)


def test_what_differs_in_the_environment_is_named_with_both_values() -> None:
    now = replace(began(processor="model 2", workers=1), versions={"keras": "4", "numpy": "2"})
    found = {one.what: (one.recorded, one.now) for one in all_changes([began(), began(2)], [now])}
    assert found == {
        "keras": ("3", "4"), "numpy": ("none", "2"), "processor": ("model 1", "model 2")
    }  # fmt: skip
    assert all_changes([began()], [began()]) == ()
    old = replace(began(), environment=None)
    assert {one.what for one in all_changes([old], [now])} == {"keras"}


def ended(attempt: int, number: int, device: Device | None) -> SegmentEnded:
    return SegmentEnded(
        trial=0, attempt=attempt, epoch=number, over=False, seconds=1.0, evaluations=[], device=device, time=0
    )


def test_a_segment_on_another_kind_of_gpu_is_told() -> None:
    one = Device(
        model="A", capability="8.0", precision="float32", tensor_float_32=True, xla=True, cuda="12",
        cudnn="9", peak_bytes=5,
    )  # fmt: skip
    other = replace(one, model="B", capability="7.5", tensor_float_32=False)
    begin = began(), segment(1, 0), epoch(1, 1), saved(1, 1)
    alone = record(*begin, ended(1, 1, one))
    both = record(
        *begin, ended(1, 1, one), segment(2, 1), epoch(2, 2), ended(2, 2, replace(one, peak_bytes=7)),
        segment(3, 2), epoch(3, 3), ended(3, 3, other),
    )  # fmt: skip
    assert alone.devices == (one.described,)
    assert both.devices == (one.described, other.described)
    assert device_changes(alone.devices, alone.devices) == ()
    assert device_changes((), alone.devices) == (), "it was not recorded, or a processor"
    found = device_changes(both.devices, alone.devices)
    assert found == (Changed("device", f"{one.described}; {other.described}", one.described),)
    assert one.described == "A (compute capability 8.0, float32, TensorFloat-32, XLA, CUDA 12, cuDNN 9)"
    assert other.described == "B (compute capability 7.5, float32, XLA, CUDA 12, cuDNN 9)"


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dropout(0.5), keras.layers.Dense(2)]
    )


def model(folder: Path, network: keras.Model) -> ModelSaved:
    """Write a model as a trial's, and tell of it."""
    folder.mkdir()
    file = folder / "model.keras"
    network.save(file)
    return ModelSaved(
        trial=0, attempt=1, epoch=1, file=file.name, sha256=sha256_of(file), size=file.stat().st_size,
        parameters=1, weights_sha256=weights_digest(read_weights(file)), time=0,
    )  # fmt: skip


def test_weights_are_compared_number_by_number(network: keras.Model, tmp_path: Path) -> None:
    """Not the states of random generators, nor the time in the file."""
    one, same, other = tmp_path / "one", tmp_path / "same", tmp_path / "other"
    before = model(one, network)
    network.layers[1].seed_generator.state.assign([7, 7])
    found = compare_weights(before, one, model(same, network), same)
    assert found.identical
    assert (found.arrays, found.differing, found.largest) == (4, (), 0.0)
    kernel = np.array(network.layers[0].kernel)
    network.layers[0].kernel.assign(kernel + np.float32(0.25) * (kernel == kernel.max()))
    after = model(other, network)
    found = compare_weights(before, one, after, other)
    assert found.identical is False
    assert found.differing == ("layers/dense/vars/0",)
    assert found.largest == pytest.approx(0.25, abs=1e-6)
    (one / before.file).unlink()
    gone = compare_weights(before, one, after, other)
    assert gone.identical is False
    assert gone.largest is None
    assert "not there any more" in gone.problem
    (one / before.file).write_bytes(b"another")
    assert "not the one that was recorded" in compare_weights(before, one, after, other).problem
    assert compare_weights(replace(before, weights_sha256=""), one, after, other).identical is None
    network.layers[0].kernel.assign(kernel)
