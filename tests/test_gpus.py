"""Which devices may be used: as CUDA reads CUDA_VISIBLE_DEVICES, and as NVIDIA's driver tells of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import gpus as module
from harness.gpus import (
    Gpu,
    cards_of,
    chosen,
    driver_problem,
    gpu_memory,
    gpu_models,
    gpus,
    mig_devices_of,
    visible_gpus,
)
from tests.fake_driver import FakeCard, install, install_script, listing, query

MIB, GIB = 1 << 20, 1 << 30
FIRST, SECOND = "GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77", "GPU-6d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77"
PARTS = (
    ("1g.5gb", "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f"),
    ("2g.10gb", "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb"),
)

hexadecimal = st.integers(0, 2**32 - 1).map("{:08x}".format)
unknown = st.sampled_from(["[N/A]", "[Not Supported]", "N/A", "", "[Unknown Error]"])
models = st.sampled_from(["NVIDIA A100-SXM4-40GB", "Tesla T4", "Quadro, large (8, 0)", "A"])
profiles = st.builds("{}g.{}gb".format, st.integers(1, 7), st.integers(5, 180)) | st.just("1c.3g.20gb+me")


@st.composite
def machines(draw: st.DrawFn) -> list[FakeCard]:
    """Cards of any number, some of which are split by MIG."""
    names = draw(st.lists(hexadecimal, unique=True, max_size=4))
    cards = []
    for name in names:
        parts = draw(st.lists(st.tuples(profiles, hexadecimal), max_size=2, unique_by=lambda one: one[1]))
        mig = draw(st.sampled_from(["Enabled", "Disabled", "[N/A]"]))
        cards.append(
            FakeCard(
                uuid=f"GPU-{name}",
                model=draw(models),
                memory=draw(st.integers(1, 200_000).map(str) | unknown),
                used=draw(st.integers(0, 200_000).map(str) | unknown),
                capability=draw(st.sampled_from(["7.5", "8.0", "9.0", "12.1"]) | unknown),
                mig=mig,
                parts=tuple((size, f"MIG-{name}-{own}") for size, own in parts) if mig == "Enabled" else (),
            )
        )
    return cards


def of(cards: list[FakeCard], visible: str | None) -> tuple[Gpu, ...]:
    """The devices of a machine with these cards."""
    return chosen(visible, cards_of(query(cards).splitlines()), mig_devices_of(listing(cards).splitlines()))


@settings(max_examples=50)
@given(machines())
def test_without_a_choice_every_card_and_every_part_of_one_is_used_once(
    cards: list[FakeCard],
) -> None:
    expected = [
        name
        for card in cards
        for name in ([part for _, part in card.parts] if card.mig == "Enabled" else [card.uuid])
    ]
    found = of(cards, None)
    assert [gpu.name for gpu in found] == expected
    for gpu in found:
        assert gpu.memory is None or gpu.memory > 0
        assert gpu.driver == "550.54.15"
        assert gpu.model
        assert of(cards, gpu.name) == (gpu,), "its name means it and nothing else"


@settings(max_examples=50)
@given(machines().filter(bool), st.data())
def test_a_choice_holds_up_to_the_first_name_that_means_nothing(
    cards: list[FakeCard], data: st.DataObject
) -> None:
    every = [gpu.name for gpu in of(cards, None)]
    wanted = data.draw(st.permutations(every)) if every else []
    stopper = data.draw(st.sampled_from(["-1", "99", "", "none", "GPU-", "GPU-ffff-none", "0x1"]))
    behind = data.draw(st.lists(st.sampled_from(every), max_size=2)) if every else []
    assert [gpu.name for gpu in of(cards, ",".join(wanted))] == wanted
    assert [gpu.name for gpu in of(cards, ",".join([*wanted, stopper, *behind]))] == wanted
    spaced = " , ".join([*wanted, *behind])
    assert [gpu.name for gpu in of(cards, spaced)] == wanted, "a device that is named twice is one device"


@settings(max_examples=50)
@given(machines())
def test_indexes_and_beginnings_of_names_mean_the_same_cards(cards: list[FakeCard]) -> None:
    for index, card in enumerate(cards):
        (by_index,), (by_name,) = of(cards, str(index)), of(cards, card.uuid[:12])
        assert by_name == Gpu(card.uuid[:12], *values(of(cards, card.uuid)[0]))
        assert by_index.name == str(index)
        if len({one.model for one in cards}) == 1:
            assert values(by_index) == values(by_name)
        elif by_index.memory is not None and by_name.memory is not None:
            assert by_index.memory <= by_name.memory, "which card is meant is not known"


def values(gpu: Gpu) -> tuple[object, ...]:
    """All but the name."""
    return gpu.model, gpu.memory, gpu.used, gpu.capability, gpu.driver


@given(st.lists(st.text(max_size=80), max_size=8))
def test_whatever_a_broken_driver_prints_is_not_taken_for_a_device(lines: list[str]) -> None:
    assert [card for card in cards_of(lines) if not card.uuid.startswith("GPU-")] == []
    assert mig_devices_of(lines) == []


@settings(max_examples=50)
@given(machines(), st.data())
def test_lines_between_that_are_something_else_change_nothing(
    cards: list[FakeCard], data: st.DataObject
) -> None:
    lines = query(cards).splitlines()
    place = data.draw(st.integers(0, len(lines)))
    noise = data.draw(st.sampled_from(["", "WARNING: infoROM is corrupted", "index, uuid, name"]))
    assert cards_of([*lines[:place], noise, *lines[place:]]) == cards_of(lines)


def test_what_a_machine_with_split_and_whole_cards_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NVIDIA's documentation has it; of the split card its parts are used."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    install(
        tmp_path, monkeypatch, [FakeCard(FIRST, mig="Enabled", parts=PARTS), FakeCard(SECOND, used="512")]
    )
    small, large, whole = gpus()
    assert [small.name, large.name, whole.name] == [PARTS[0][1], PARTS[1][1], SECOND]
    assert small.model == "NVIDIA A100-SXM4-40GB MIG 1g.5gb"
    assert small.memory is not None
    assert 4 * GIB < small.memory < 4864 * MIB, "not more than it has"
    assert whole == Gpu(SECOND, "NVIDIA A100-SXM4-40GB", 40 * GIB, 512 * MIB, (8, 0), "550.54.15")
    assert whole.free == 40 * GIB - 512 * MIB
    assert gpu_memory() == small.memory
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"MIG-{FIRST}/1/0")
    assert [(gpu.name, gpu.memory) for gpu in gpus()] == [(f"MIG-{FIRST}/1/0", small.memory)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert gpus()[0].memory == small.memory, "CUDA takes one of the parts"


def test_names_are_believed_where_there_is_no_driver_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,MIG-5c8f,-1")
    assert visible_gpus() == ["1", "MIG-5c8f"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,-1,0")
    assert visible_gpus() == ["1"]
    assert gpu_memory() is None
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpus() == ()
    assert driver_problem() == ""


def test_gpus_are_told_by_their_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that may be used, by number or by the beginning of their names."""
    install(
        tmp_path,
        monkeypatch,
        [
            FakeCard("GPU-1a0b", "Model A", driver="570.1"),
            FakeCard("GPU-2c3d", "Model B, large", driver="570.1"),
        ],
    )
    first, second = "Model A", "Model B, large"
    for visible, models in (("1", (second,)), ("GPU-1a", (first,)), ("1,0", (second, first))):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert gpu_models() == (models, "570.1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert gpu_models() == ((), "")


def test_an_index_among_different_cards_has_what_all_of_them_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA counts the fastest first, the driver along the bus."""
    install(tmp_path, monkeypatch, [FakeCard(FIRST, "Small", "8192"), FakeCard(SECOND, "Large", "81559")])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert gpu_memory() == 8 * GIB
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert gpu_memory() == 81559 * MIB


def test_the_driver_is_asked_once_and_anew_only_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = install(tmp_path, monkeypatch, [FakeCard(FIRST)])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for _ in range(3):
        assert visible_gpus() == [FIRST]
    assert len(asked.read_text().splitlines()) == 1
    (tmp_path / "query.csv").write_text(query([FakeCard(FIRST, used="1024")]))
    assert gpus(again=True)[0].used == GIB
    assert len(asked.read_text().splitlines()) == 2


@pytest.mark.parametrize("visible", ["", "-1", "NoDevFiles"])
def test_whoever_wants_no_gpu_does_not_wait_for_a_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str
) -> None:
    asked = install(tmp_path, monkeypatch, [FakeCard(FIRST)])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus() == ()
    assert driver_problem() == ""
    assert asked.read_text() == ""


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("sleep 60\n", "has not answered within 0.2 s"),
        (
            "echo 'NVIDIA-SMI has failed'; exit 9\n",
            "failed with status 9: NVIDIA-SMI",
        ),
        ("exit 15\n", "failed with status 15: it printed nothing"),
        ("echo 'Segmentation fault, core dumped'\n", "says what cannot be understood"),
        ("printf '\\377\\376 GPU'\n", "says what cannot be understood"),
        ("echo 'No devices were found'; exit 6\n", None),
        ("exit 0\n", None),
    ],
)
def test_a_driver_that_does_not_work_is_told_and_gives_no_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str | None
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.2)
    install_script(tmp_path, monkeypatch, script)
    assert gpus() == ()
    problem = driver_problem()
    assert problem == "" if said is None else said in problem
