"""What is told of the GPU that a program was trained on, and of its memory when that runs out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
import tensorflow as tf

from harness.data.prepare import prepare
from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.parameters import complete
from harness.model.out_of_memory import is_out_of_memory
from harness.records import Device, EpochEnded, TrainingEnded
from harness.train.device import used_device
from harness.train.program import Program
from harness.train.worker_cache import WorkerCache
from tests.train.one_worker import Worker


@dataclass
class Trained:
    """What of a program is told."""

    precision: str = "float32"
    is_fused: bool = True


def believe_in_a_gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], peak: int | None) -> None:
    """TensorFlow tells of one; what it computes, it computes on the processor."""

    def memory_info(device: str) -> dict[str, int]:
        assert device == "GPU:0"
        if peak is None:
            raise ValueError("Allocator stats not available for device 'GPU:0'")
        return {"current": 1, "peak": peak}

    details = {"device_name": "Model A", "compute_capability": capability}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: ["a GPU"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda _: details)
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", memory_info)


@pytest.mark.slow
def test_a_segment_on_a_gpu_is_trained_on_packed_pixels_and_tells_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streamed or resident, the numbers are the same, and near those of a processor."""
    dataset = prepare(
        DatasetConfig(limit_train=96), seed=0, progress=lambda *_: None, cache=tmp_path / "cache"
    )
    params = complete({"family": "baseline", "width": 8, "batch_size": 32})
    losses: list[float] = []
    for place, device_data in enumerate((None, 1 << 30, 0)):
        if place == 1:
            believe_in_a_gpu(monkeypatch, (8, 6), 7 << 20)
        worker = Worker(dataset, tmp_path / str(place), params, 1)
        worker.cache = WorkerCache(device_data=device_data)
        ended = worker.run()
        (epoch,), (trained,) = worker.of_kind(EpochEnded), worker.of_kind(TrainingEnded)
        losses.append(cast("EpochEnded", epoch).metrics["val_loss"])
        assert cast("TrainingEnded", trained).device_bytes == (7 << 20 if place else None)
        assert (ended.device is None) == (place == 0)
        if ended.device is not None:
            assert (ended.device.model, ended.device.capability, ended.device.xla) == ("Model A", "8.6", True)
        (images,) = worker.cache._images.values()
        assert images.device_bytes == (0, images.on_disk.nbytes, 0)[place]
    assert losses[1] == losses[2]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def told(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], peak: int | None) -> Device:
    """Of a GPU that TensorFlow is made to believe in."""
    believe_in_a_gpu(monkeypatch, capability, peak)
    found = used_device(cast("Program", Trained()))
    assert found is not None
    return found


def test_a_device_is_told_with_how_it_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    build = tf.sysconfig.get_build_info()
    found = told(monkeypatch, (8, 0), 5 << 30)
    assert found == Device(
        model="Model A", capability="8.0", precision="float32", tensor_float_32=True, xla=True,
        cuda=str(build.get("cuda_version", "")), cudnn=str(build.get("cudnn_version", "")),
        peak_bytes=5 << 30,
    )  # fmt: skip
    assert found.described == replace(found, peak_bytes=None).described, "what it took decides no number"
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert not told(monkeypatch, (8, 0), None).tensor_float_32
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    older = told(monkeypatch, (7, 5), None)
    assert (older.tensor_float_32, older.peak_bytes) == (False, None)
    assert older.described != found.described


def test_a_processor_is_no_device() -> None:
    assert used_device(cast("Program", Trained())) is None


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"), True),
        (tf.errors.InternalError(None, None, "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY: out of memory"), True),
        (tf.errors.InternalError(None, None, "Attempting to use: CUBLAS_STATUS_ALLOC_FAILED"), True),
        (tf.errors.UnknownError(None, None, "CUDNN_STATUS_ALLOC_FAILED in tensorflow"), True),
        (tf.errors.InternalError(None, None, "CUDA_ERROR_ILLEGAL_ADDRESS"), False),
        (ValueError("CUDA_ERROR_OUT_OF_MEMORY is what my own code says"), False),
    ],
)
def test_every_way_of_cuda_to_say_that_memory_ran_out_is_known(error: Any, is_memory: bool) -> None:
    assert is_out_of_memory(error) == is_memory
