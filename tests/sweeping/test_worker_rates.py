"""A worker's rates are asked for once, and kept for the machine, its workers and the precision."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from harness.experiment.rates import DEFAULT_RATES
from harness.records import Answer, Question
from harness.sweeping.worker_rates import known_rates, measured_rates, usual_rates

MEASURED = DEFAULT_RATES["float32"].times(3)


class Worker:
    """Answers, and remembers what it was asked."""

    def __init__(self, answer: Answer | None) -> None:
        self.answer = answer
        self.asked: list[Question] = []

    def ask(self, question: Question, _: float) -> Answer | None:
        self.asked.append(question)
        return self.answer


def test_measured_once_and_then_known() -> None:
    worker = Worker(Answer(question="rates", found=asdict(MEASURED)))
    assert known_rates(2, "float32") is None
    assert measured_rates(2, "float32", worker.ask) == MEASURED
    assert measured_rates(2, "float32", worker.ask) == MEASURED
    assert known_rates(2, "float32") == MEASURED
    assert [one.arguments for one in worker.asked] == [{"precision": "float32"}]
    measured_rates(1, "float32", worker.ask)
    measured_rates(2, "bfloat16", worker.ask)
    assert len(worker.asked) == 3
    file = Path(os.environ["HARNESS_CACHE"], "calibration.json")
    known = json.loads(file.read_text())
    assert len(known) == 3
    # Damaged: measured again.
    for content in ("[", "[1]", json.dumps(dict.fromkeys(known, 1)), json.dumps({key: {} for key in known})):
        file.write_text(content)
        assert measured_rates(2, "float32", worker.ask) == MEASURED
    assert len(worker.asked) == 7


@pytest.mark.parametrize("answer", [None, Answer(question="rates", error="out of memory")])
def test_without_an_answer_nothing_is_known(answer: Answer | None) -> None:
    assert measured_rates(1000, "float32", Worker(answer).ask) is None
    assert not Path(os.environ["HARNESS_CACHE"], "calibration.json").exists()


def test_more_workers_have_fewer_threads_each() -> None:
    assert usual_rates(1000, "float32") == DEFAULT_RATES["float32"]
