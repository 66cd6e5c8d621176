"""What a container grants is known, by either version of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import machine
from harness.engine.memory import GIB, worker_memory
from harness.machine import (
    cpu_quota,
    instruction_sets,
    memory_limit,
    usable_cores,
    usable_memory,
)
from tests.fake_driver import FakeCard, install


def control_groups(folder: Path, groups: str, mounts: str, files: dict[str, str]) -> Path:
    """A process's folder in `/proc` that tells of these control groups, `{top}` being where they are."""
    top = folder / "cgroup"
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(f"{text}\n")
    proc = folder / "self"
    proc.mkdir()
    (proc / "cgroup").write_text(groups)
    (proc / "mountinfo").write_text(mounts.format(top=top))
    return proc


V2 = "31 23 0:27 / {top} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "32 23 0:28 / {top}/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
    "33 23 0:29 {root} {top}/memory rw shared:9 - cgroup cgroup rw,memory\n"
)


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "cores", "memory"),
    [
        # A container of its own name space sees its group as the root.
        ("0::/\n", V2, {"cpu.max": "150000 100000", "memory.max": "2147483648"}, 1.5, 2 * GIB),
        ("0::/\n", V2, {"cpu.max": "max 100000", "memory.max": "max"}, None, None),
        # The narrowest of nested groups counts, and `memory.high` throttles before `memory.max` kills.
        (
            "0::/job/step\n",
            V2,
            {
                "job/cpu.max": "200000 100000",
                "job/step/cpu.max": "max 100000",
                "job/memory.max": str(4 * GIB),
                "job/step/memory.high": str(3 * GIB),
            },
            2.0,
            3 * GIB,
        ),
        # Version 1, the memory's hierarchy mounted from the container's own group on.
        (
            "4:memory:/docker/1a2b\n3:cpu,cpuacct:/docker/1a2b\n0::/\n",
            V1.replace("{root}", "/docker/1a2b"),
            {
                "cpu/docker/1a2b/cpu.cfs_quota_us": "50000",
                "cpu/docker/1a2b/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": str(GIB),
            },
            0.5,
            GIB,
        ),
        (
            "4:memory:/\n3:cpu,cpuacct:/\n",
            V1.replace("{root}", "/"),
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            None,
            None,
        ),
        ("", "", {}, None, None),
    ],
)
def test_limits_of_control_groups(
    tmp_path: Path, groups: str, mounts: str, files: dict[str, str], cores: float | None, memory: int | None
) -> None:
    proc = control_groups(tmp_path, groups, mounts, files)
    assert cpu_quota(proc) == cores
    assert memory_limit(proc) == memory


def test_without_such_files_the_machine_itself_counts(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "nowhere") is None
    assert memory_limit(tmp_path / "nowhere") is None


def test_a_container_shares_out_what_it_was_granted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"cpu.max": "100000 100000", "memory.max": str(GIB)}
    monkeypatch.setattr(machine, "PROC", control_groups(tmp_path, "0::/\n", V2, files))
    assert usable_cores() == 1
    assert usable_memory() == GIB
    assert worker_memory(2).recycle < GIB / 2
    assert worker_memory(2).data + worker_memory(2).programs <= GIB / 2


def test_less_than_a_core_is_still_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"cpu.max": "20000 100000"}
    monkeypatch.setattr(machine, "PROC", control_groups(tmp_path, "0::/\n", V2, files))
    assert usable_cores() == 1


def test_images_on_a_gpu_are_bounded_by_its_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that tells of two GPUs, the smaller one of 8 GiB, shared by two workers each.

    The machine's own memory bounds only what is in it: images that are evaluated with.
    """
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    install(tmp_path, monkeypatch, [FakeCard("GPU-1", memory="8192"), FakeCard("GPU-2", memory="81559")])
    monkeypatch.setattr("harness.engine.memory.usable_memory", lambda: 512 * GIB)
    assert worker_memory(4, gpus=2).device_data == GIB
    assert worker_memory(4, gpus=2).data == 32 * GIB
    assert worker_memory(4, gpus=2, data=3.0).device_data == 3 * GIB
    assert worker_memory(4).data == 32 * GIB
    assert worker_memory(4).device_data is None
    monkeypatch.setattr("harness.engine.memory.usable_memory", lambda: GIB)
    assert worker_memory(4, gpus=2).device_data == GIB, "however little memory the machine has"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-2")
    assert worker_memory(1, gpus=1).device_data == 81559 * 2**20 // 4, "another card's memory is no matter"


def test_instruction_sets_are_those_that_matter_for_numbers(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(
        "processor\t: 0\nmodel name\t: One\nflags\t\t: fpu avx512_bf16 amx_tile avx2 syscall\n\n"
    )
    assert instruction_sets(cpuinfo) == ("amx_tile", "avx2", "avx512_bf16")
    cpuinfo.write_text("processor\t: 0\nFeatures\t: fp asimd bf16 crc32\n")
    assert instruction_sets(cpuinfo) == ("asimd", "bf16")
    assert instruction_sets(tmp_path / "nowhere") == ()
