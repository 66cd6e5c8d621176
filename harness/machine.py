"""What this process may use of its machine: cores and memory, also inside of a container.

A container's limits (Docker's `--cpus` and `--memory`, Kubernetes' limits, Slurm's cgroups) are those of
control groups. The number of processors and the size of the memory that the system reports know nothing of
them.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil

PROC = Path("/proc/self")
CPUINFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
INSTRUCTION_SETS = {
    "sse4_1", "sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512dq",
    "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16",
    "asimd", "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2",
}  # fmt: skip
"""Those, as Linux names them, by which numerical libraries choose their kernels."""
LONGEST_START = 60.0
"""Seconds after which nobody asks any more how long a process has been starting."""


def usable_cores() -> int:
    """Cores that this process may keep busy: by its affinity, and by its container's quota, rounded down."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(PROC)
    return cores if quota is None else max(1, min(cores, int(quota)))


def process_seconds() -> float:
    """Seconds since this process began; 0 if the clock has been set meanwhile."""
    seconds: float = time.time() - psutil.Process().create_time()
    return seconds if 0 <= seconds < LONGEST_START else 0.0


def usable_memory() -> int:
    """Bytes of memory that this process and its children may use together."""
    limit = memory_limit(PROC)
    total: int = psutil.virtual_memory().total
    return total if limit is None else min(total, limit)


def processor_name(cpuinfo: Path) -> str:
    """The processor's model; its architecture where the system does not tell.

    Args:
        cpuinfo: what Linux says of its processors, `/proc/cpuinfo`.
    """
    return _of_processor(cpuinfo, "model name") or platform.processor() or platform.machine()


def computes_in_bfloat16(cpuinfo: Path) -> bool:
    """Whether the processor has instructions for it, as far as the system tells.

    Args:
        cpuinfo: what Linux says of its processors, `/proc/cpuinfo`.
    """
    return not BFLOAT16_FLAGS.isdisjoint(_of_processor(cpuinfo, "flags").split())


def instruction_sets(cpuinfo: Path) -> tuple[str, ...]:
    """The processor's instruction sets that matter for numbers, sorted; none where the system does not tell.

    Args:
        cpuinfo: what Linux says of its processors, `/proc/cpuinfo`.
    """
    told = _of_processor(cpuinfo, "flags") or _of_processor(cpuinfo, "Features")  # the latter on Arm
    return tuple(sorted(INSTRUCTION_SETS.intersection(told.split())))


def _of_processor(cpuinfo: Path, key: str) -> str:
    """What is told of the first processor; empty if nothing is."""
    pairs = (line.partition(":") for line in _text(cpuinfo).splitlines())
    return next((value.strip() for name, _, value in pairs if name.strip() == key), "")


def cpu_quota(proc: Path) -> float | None:
    """Cores that the control groups of a process grant it; None without such a limit.

    Args:
        proc: the process's folder, such as `/proc/self`.
    """
    quotas: list[float] = []
    for group in _groups(proc, ""):
        quota, _, period = _text(group / "cpu.max").partition(" ")
        if quota.isdecimal() and period.isdecimal():
            quotas.append(int(quota) / int(period))
    for group in _groups(proc, "cpu"):
        quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal():  # a quota of -1 is none
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def memory_limit(proc: Path) -> int | None:
    """Bytes that the control groups of a process grant it; None without such a limit.

    Args:
        proc: the process's folder, such as `/proc/self`.
    """
    files = [group / name for group in _groups(proc, "") for name in ("memory.max", "memory.high")]
    files += [group / "memory.limit_in_bytes" for group in _groups(proc, "memory")]
    limits = [int(text) for text in map(_text, files) if text.isdecimal()]
    return min(limits, default=None)


def _groups(proc: Path, controller: str) -> Iterator[Path]:
    """The folders of the control group that a process is in, and of those around it.

    Args:
        proc: the process's folder.
        controller: of version 1, such as `cpu`; empty for the one hierarchy of version 2.
    """
    paths = {
        name: path
        for _, names, path in (line.split(":", 2) for line in _text(proc / "cgroup").splitlines())
        for name in names.split(",")
    }
    for line in _text(proc / "mountinfo").splitlines():
        mounted, _, kind = line.partition(" - ")
        fields, (system, _, options) = mounted.split(), kind.split(maxsplit=2)
        fits = system == "cgroup" and controller in options.split(",") if controller else system == "cgroup2"
        if not fits or controller not in paths:
            continue
        root, top = PurePosixPath(fields[3]), Path(fields[4])
        own = PurePosixPath(paths[controller])
        # What is mounted may be a part of the hierarchy, and the path may be told from outside of it.
        inside = own.relative_to(root) if own.is_relative_to(root) else PurePosixPath()
        group = top / inside
        yield group
        while group != top:
            group = group.parent
            yield group
        return


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
