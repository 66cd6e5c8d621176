"""What `training.precision: auto` stands for: decided once, recorded, and never decided again for a study."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.engine.inline import InlineEngine
from harness.engine.protocol import Answered
from harness.errors import ExperimentError
from harness.experiment.experiment import Experiment
from harness.experiment.load import computing_in, dump
from harness.machine import computes_in_bfloat16, processor_name
from harness.paths import calibration_file
from harness.records import Answer, LogRecord, Question
from harness.study.state import StudyState, fold
from harness.sweeping import precision as module
from harness.sweeping.checks import check_same_experiment
from harness.sweeping.plan import Stop
from harness.sweeping.precision import foreseen, measured, settled
from harness.sweeping.stopwatch import Stopwatch
from harness.sweeping.workers import Workers
from tests.fake_driver import FakeCard, install
from tests.studies import DATASET, experiment, study_started

FAST, SLOW = {"float32": 0.03, "bfloat16": 0.02}, {"float32": 0.03, "bfloat16": 0.026}


class Told:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def progress(self, label: str, done: int, total: int) -> None:
        assert done <= total

    def note(self, message: str) -> None:
        self.notes.append(message)

    def opened(self, state: StudyState, plan: object, workers: int) -> None:
        raise AssertionError("the study is not open yet")

    def on_record(self, record: LogRecord) -> None:
        raise AssertionError("nothing is written yet")


class AnsweringEngine(InlineEngine):
    """Gives the same answer to every question."""

    def __init__(self, answer: Answer | None, workers: int = 2) -> None:
        super().__init__(workers, run=lambda *_: None)
        self.answer, self.asked = answer, list[Question]()

    def ask(self, worker: int, question: Question) -> None:
        self.asked.append(question)
        if self.answer is not None:
            self._events.append(Answered(worker, self.answer))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(autouse=True)
def able(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A processor with the instructions, and no GPU."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("model name\t: Fast\nflags\t\t: sse avx512_bf16 aes\n")
    monkeypatch.setattr(module, "CPUINFO", cpuinfo)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return cpuinfo


def chosen(precision: str = "auto", **sections: Any) -> Experiment:
    return experiment(training={"epochs": 4, "precision": precision}, **sections)


def begun(searched: Experiment) -> StudyState:
    state = fold([])
    state.apply(LogRecord(seq=1, event=study_started(searched)))
    return state


def ask(engine: AnsweringEngine, told: Told, searched: Experiment | None = None) -> str:
    engine.start()
    found = measured(searched or chosen(), DATASET, Workers(engine, None), told, Stop())
    return found.training.precision


@pytest.mark.parametrize(
    ("text", "able", "name"),
    [
        ("model name\t: Zen\nflags\t\t: sse2 avx512_bf16\n\nmodel name\t: other\n", True, "Zen"),
        ("processor: 0\nflags: amx_bf16 amx_tile\n", True, None),
        ("model name: Old\nflags: sse2 avx512f avx512_bf16x\nvmx flags: avx512_bf16\n", False, "Old"),
        ("Features\t: fp asimd bf16\n", False, None),
        (None, False, None),
    ],
)
def test_the_processors_flags(tmp_path: Path, text: str | None, able: bool, name: str | None) -> None:
    file = tmp_path / "info"
    if text is not None:
        file.write_text(text)
    assert computes_in_bfloat16(file) is able
    assert processor_name(file)
    assert name is None or processor_name(file) == name


def test_what_the_file_names_is_taken_without_a_word(told: Told) -> None:
    for name in ("float32", "bfloat16"):
        searched = chosen(name)
        assert settled(searched, fold([]), told.note) is searched
        assert measured(searched, DATASET, Workers(AnsweringEngine(None), None), told, Stop()) is searched
        assert foreseen(searched) == name
    assert told.notes == []


def test_a_processor_without_the_instructions_and_an_ordered_study_take_float32(
    told: Told, able: Path
) -> None:
    ordered = chosen(search={"ordered": True})
    assert settled(chosen(), fold([]), told.note).training.precision == "auto"
    assert settled(ordered, fold([]), told.note).training.precision == "float32"
    able.write_text("flags: sse2\n")
    assert settled(chosen(), fold([]), told.note).training.precision == "float32"
    assert told.notes == [
        "precision: float32 (an ordered study measures nothing, so that it can be repeated anywhere)",
        "precision: float32 (this processor has no instructions for bfloat16)",
    ]
    assert foreseen(chosen()) == "auto: float32 (this processor has no instructions for bfloat16)"


def test_heads_alone_take_float32_and_an_unfrozen_backbone_is_measured(told: Told) -> None:
    heads = {"family": "pretrained", "dropout": {"type": "float", "low": 0.0, "high": 0.5}}
    assert settled(chosen(space=heads), fold([]), told.note).training.precision == "float32"
    for unfreeze, most in (([0, 4], 4), ({"type": "int", "low": 0, "high": 3}, 3)):
        searched = chosen(space=heads | {"unfreeze": unfreeze})
        assert settled(searched, fold([]), told.note).training.precision == "auto"
        engine = AnsweringEngine(Answer(question="precisions", found=FAST))
        assert ask(engine, told, searched) == "bfloat16"
        assert engine.asked[-1].arguments["params"]["unfreeze"] == most


def test_on_a_gpu_flags_decide_nothing(told: Told, able: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    able.write_text("flags: sse2\n")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert settled(chosen(), fold([]), told.note).training.precision == "auto"


def test_gpus_older_than_bfloat16_are_not_measured(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest decides: all workers compute alike."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    install(tmp_path, monkeypatch, [FakeCard("GPU-a"), FakeCard("GPU-b", "Tesla T4", capability="7.5")])
    assert settled(chosen(), fold([]), told.note).training.precision == "float32"
    assert "from compute capability 8.0 on, and here is one of 7.5" in told.notes[-1]
    assert settled(chosen("bfloat16"), fold([]), told.note).training.precision == "bfloat16"
    assert "bfloat16, as it was chosen. It will be slow" in told.notes[-1]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a")
    assert settled(chosen(), fold([]), told.note).training.precision == "auto"


def test_measured_once_and_remembered_for_the_kind_of_network(told: Told) -> None:
    engine = AnsweringEngine(Answer(question="precisions", found=FAST))
    assert foreseen(chosen()) == "auto: measured when the sweep begins"
    assert ask(engine, told) == "bfloat16"
    assert ask(engine, told) == "bfloat16"
    (question,) = engine.asked
    assert question.arguments["image_shape"] == [8, 8, 1]
    assert question.arguments["params"]["dropout"] == 0.1, "the space's default"
    assert told.notes == [
        "precision: bfloat16 (1.50 times as fast as float32 on this machine, measured)",
        "precision: bfloat16 (1.50 times as fast as float32 on this machine, measured before)",
    ]
    assert foreseen(chosen()).startswith("auto: bfloat16 (1.50 times as fast as float32 on this machine, mea")
    ask(engine, told, chosen(space={"width": 64}))
    assert len(engine.asked) == 2, "another kind of network"


def test_a_little_faster_is_not_worth_it(told: Told) -> None:
    assert ask(AnsweringEngine(Answer(question="precisions", found=SLOW)), told) == "float32"
    assert told.notes == [
        "precision: float32 (bfloat16 is only 1.15 times as fast on this machine, measured)"
    ]


def test_what_cannot_be_measured_is_float32_and_is_not_remembered(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.05)
    wrong = Answer(question="precisions", error="ValueError: my network\nis wrong")
    for answer in (wrong, None):
        engine = AnsweringEngine(answer)
        assert ask(engine, told) == "float32"
        assert len(engine.asked) == 1
    assert told.notes == [
        "precision: float32 (how fast bfloat16 is could not be measured: ValueError: my network)",
        "precision: float32 (how fast bfloat16 is could not be measured: no worker answered)",
    ]
    assert not calibration_file().exists()


def test_damage_of_what_is_remembered_is_measured_again_and_other_entries_stay(told: Told) -> None:
    engine = AnsweringEngine(Answer(question="precisions", found=FAST))
    ask(engine, told)
    (key,) = json.loads(calibration_file().read_text())
    for damaged in ({}, {"float32": 1}, {"float32": 0, "bfloat16": 1}, "x", {"float32": "x", "bfloat16": 2}):
        calibration_file().write_text(json.dumps({"workers": {"1": 5.0}, key: damaged}))
        before = len(engine.asked)
        assert ask(engine, told) == "bfloat16"
        assert len(engine.asked) == before + 1
        assert json.loads(calibration_file().read_text()) == {"workers": {"1": 5.0}, key: FAST}


def test_a_cache_that_cannot_be_written_decides_nothing(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HARNESS_CACHE", os.fspath(tmp_path / "file" / "cache"))
    assert ask(AnsweringEngine(Answer(question="precisions", found=FAST)), told) == "bfloat16"


def test_a_stop_ends_the_waiting(told: Told) -> None:
    engine = AnsweringEngine(None)
    engine.start()
    with pytest.raises(KeyboardInterrupt):
        measured(chosen(), DATASET, Workers(engine, None), told, Stop("interrupted"))


def test_a_time_limit_ends_the_waiting(told: Told) -> None:
    engine = AnsweringEngine(None)
    engine.start()
    clock = Stopwatch(time.monotonic() - 9)
    workers = Workers(engine, None)
    found = measured(chosen(), DATASET, workers, told, Stop(), partial(clock.is_past, 9.2))
    assert found.training.precision == "float32"
    assert clock.session < 9 + module.ANSWER_SECONDS
    assert len(engine.asked) == 1
    assert not calibration_file().exists()
    assert not clock.is_past(None)


@pytest.mark.parametrize("recorded", ["float32", "bfloat16"])
def test_a_study_that_goes_on_keeps_what_it_began_with(told: Told, able: Path, recorded: str) -> None:
    able.write_text("flags: none\n")
    state = begun(chosen(recorded))
    found = settled(chosen(), state, told.note)
    assert found.training.precision == recorded
    assert told.notes == [f"precision: {recorded} (as the study began)"]
    check_same_experiment(found, state)
    other = {"float32": "bfloat16", "bfloat16": "float32"}[recorded]
    with pytest.raises(ExperimentError, match=f'training.precision was "{recorded}", not "{other}"'):
        check_same_experiment(settled(chosen(other), state, told.note), state)


def test_a_study_that_does_not_record_it_is_float32(told: Told) -> None:
    values = dump(chosen())
    del values["training"]["precision"]
    state = begun(chosen())
    state.apply(LogRecord(seq=2, event=study_started(chosen(), session=2, experiment=values)))
    assert state.experiment == chosen("float32") == computing_in(chosen(), "float32")
    assert settled(chosen(), state, told.note) == state.experiment
    del values["training"]
    state.apply(LogRecord(seq=3, event=study_started(chosen(), session=3, experiment=values)))
    assert state.experiment.training.precision == "float32"
