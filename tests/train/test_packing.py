"""Pixels in a GPU's memory: packed there, and picked by kernels that exist for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn

from harness.train.images import ResidentImages, Room, SplitImages, StreamedImages, fitting
from harness.train.packing import as_fed, chosen_pixels, words


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow believes that there is a GPU; what it computes, it computes on the processor."""
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: ["a GPU"])


shapes = st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 7), st.sampled_from([1, 3]))


@settings(max_examples=40)
@given(st.data())
def test_what_is_packed_and_picked_are_the_same_pixels(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.config, "list_physical_devices", lambda _: ["a GPU"])
        images = data.draw(drawn.arrays(np.uint8, shapes))
        rows = data.draw(drawn.arrays(np.int32, st.integers(0, 6), elements=st.integers(0, len(images) - 1)))
        packed = as_fed(images)
    shape = images.shape[1:]
    assert packed.dtype == tf.int64
    assert packed.shape == (len(images), words(shape))
    np.testing.assert_array_equal(chosen_pixels(packed, tf.constant(rows), shape), images[rows])


def test_on_a_processor_and_of_features_nothing_is_packed(gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.ones((3, 5), np.float32)
    assert as_fed(features).dtype == tf.float32
    monkeypatch.undo()
    images = np.ones((3, 4, 4, 1), np.uint8)
    np.testing.assert_array_equal(as_fed(images), images)


@pytest.mark.parametrize("part_bytes", [1, 100, 1 << 20])
def test_what_goes_to_a_gpu_part_by_part_is_all_there(gpu: None, part_bytes: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 3, 5, 1), np.uint8)
    order = np.array([[6, 0], [3, 3]], np.int32)
    (chunk,) = ResidentImages(images, np.arange(7, dtype=np.int32), part_bytes).chunks(order)
    for batch in order:
        np.testing.assert_array_equal(
            chosen_pixels(chunk.images, tf.constant(batch), (3, 5, 1)), images[batch]
        )
    (streamed,) = StreamedImages(Listed(images), np.arange(7, dtype=np.int32)).chunks(order)
    for batch, places in zip(order, streamed.indices, strict=True):
        np.testing.assert_array_equal(
            chosen_pixels(streamed.images, tf.constant(places), (3, 5, 1)), images[batch]
        )


class Listed:
    """Images that are read when they are asked for."""

    def __init__(self, images: npt.NDArray[np.uint8]) -> None:
        self._images, self.nbytes, self.image_bytes = images, images.nbytes, images[0].nbytes

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, wanted: Any) -> npt.NDArray[np.uint8]:
        found: npt.NDArray[np.uint8] = self._images[wanted]
        return found


def of(train: int, validation: int, room: Room) -> SplitImages:
    """So many bytes of images, as far as there is room for them."""
    first, second = (Listed(np.zeros((number, 1, 1, 1), np.uint8)) for number in (train, validation))
    resident, kept = fitting(first, second, room)
    on_device = resident * train if room.device is not None else 0
    return SplitImages(
        train=None, on_disk=first, train_labels=np.zeros(train, np.int32), validation=second,
        validation_labels=np.zeros(validation, np.int32), nbytes=train + validation,
        resident_bytes=kept * validation + resident * train - on_device, device_bytes=on_device,
    )  # type: ignore[arg-type]  # fmt: skip


def test_training_images_have_the_gpus_room_and_validation_images_the_machines() -> None:
    mib = 1 << 20
    large = Room(64 * mib + 10, device=100)
    found = of(100, 10, large)
    assert (found.device_bytes, found.resident_bytes) == (100, 10)
    assert of(101, 11, large).device_bytes == 0, "then they go there part by part"
    assert of(101, 11, large).resident_bytes == 0
    left = large.less([found])
    assert (left.memory, left.device) == (64 * mib, 0)
    assert left.lacks(of(1, 1, Room(0, 0)), large)
    assert not large.lacks(of(100, 10, Room(0, 0)), large)
    alone = Room(110)
    assert (of(100, 10, alone).resident_bytes, of(100, 10, alone).device_bytes) == (110, 0)
    assert alone.less([of(100, 10, alone)]).lacks(of(1, 1, Room(0)), alone)


def on_gpu(operation: tf.Operation) -> bool:
    """Whether this build of TensorFlow has a kernel for a GPU that computes the operation."""
    from tensorflow.python.framework import kernels

    return any(
        kernel.device_type == "GPU"
        and all(
            operation.get_attr(one.name).as_datatype_enum in one.allowed_values.list.type
            for one in kernel.constraint
        )
        for kernel in kernels.get_registered_kernels_for_op(operation.type).kernel
    )


@pytest.mark.skipif(not tf.sysconfig.get_build_info().get("is_cuda_build"), reason="built without CUDA")
def test_tensorflow_has_a_kernel_for_gpus_for_every_step_of_picking_pixels() -> None:
    """Otherwise all images would go back to the processor for each batch; of plain bytes that is so."""
    shape = (5, 5, 3)

    def traced(pick: Any, *specs: tf.TensorSpec) -> list[tf.Operation]:
        graph = tf.function(pick, autograph=False).get_concrete_function(*specs).graph
        return [one for one in graph.get_operations() if one.type not in ("Placeholder", "Const")]

    rows = tf.TensorSpec((None,), tf.int32)
    packed = traced(
        lambda images, chosen: tf.cast(chosen_pixels(images, chosen, shape), tf.float32),
        tf.TensorSpec((None, words(shape)), tf.int64),
        rows,
    )
    assert {"GatherV2", "Bitcast", "Cast"} <= {one.type for one in packed}
    assert [one.type for one in packed if not on_gpu(one)] == []
    joined = traced(
        lambda one, two: tf.concat([one, two], 0), *[tf.TensorSpec((None, words(shape)), tf.int64)] * 2
    )
    assert [one.type for one in joined if not on_gpu(one)] == []
    plain = traced(tf.gather, tf.TensorSpec((None, *shape), tf.uint8), rows)
    assert [one.type for one in plain if not on_gpu(one)] == ["GatherV2"]
