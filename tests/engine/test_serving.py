"""The worker's loop, with nothing between it and its coordinator but two queues."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from harness.engine.serving import serve
from harness.engine.trainer import Observe, ShouldStop, Trainer
from harness.engine.wire import (
    Ready,
    Report,
    Request,
    StopSegment,
    decode_report,
    decode_request,
    encode_report,
    encode_request,
)
from harness.records import Answer, Dataset, EpochEnded, Question, Segment, SegmentFailed, TrainingEnded

PATIENCE = 30.0
DATASET = Dataset(
    name="none", folder="", split="", digest="", classes=("a", "b"), image_shape=(2, 2, 1), counts={},
    class_counts={}, warnings=(),
)  # fmt: skip


QUESTION = Question(name="size", arguments={"about": 3})


def segment(trial: int) -> Segment:
    return Segment(
        study_folder="", trial=trial, attempt=1, params={}, seed=0, start=0, stop=3, max_epochs=3,
        dataset=DATASET,
    )  # fmt: skip


def epoch_ended(trial: int, epoch: int) -> EpochEnded:
    return EpochEnded(trial=trial, attempt=1, epoch=epoch, metrics={"loss": 0.5}, time=1)


def describe(failed: Segment, error: BaseException) -> SegmentFailed:
    return SegmentFailed(
        trial=failed.trial, attempt=1, failure="crash", message=str(error), traceback="", time=1
    )


def answer(question: Question) -> Answer:
    return Answer(question=question.name, found={"asked": float(question.arguments["about"])})


class Served:
    """A worker that is being served in a thread."""

    def __init__(self, run: Callable[[Segment, Observe, ShouldStop], Future[None]]) -> None:
        self.requests: queue.Queue[Request | None] = queue.Queue()
        self.reports: queue.Queue[Report] = queue.Queue()
        start = lambda: Trainer(run, describe, answer)  # noqa: E731
        self.thread = threading.Thread(target=serve, args=(self.requests.get, self.reports.put, start))
        self.thread.start()

    def next(self) -> Report:
        return self.reports.get(timeout=PATIENCE)


@pytest.fixture
def worker() -> Iterator[Callable[..., Served]]:
    served: list[Served] = []

    def begin(run: Callable[[Segment, Observe, ShouldStop], Future[None]]) -> Served:
        served.append(Served(run))
        return served[-1]

    yield begin
    for one in served:
        one.requests.put(None)
        one.thread.join(PATIENCE)
        assert not one.thread.is_alive()


def done() -> Future[None]:
    future: Future[None] = Future()
    future.set_result(None)
    return future


def test_segments_run_one_after_the_other_in_the_order_they_came(worker: Callable[..., Served]) -> None:
    def run(given: Segment, observe: Observe, _: ShouldStop) -> Future[None]:
        for epoch in (1, 2):
            observe(epoch_ended(given.trial, epoch))
        return done()

    served = worker(run)
    for trial in (4, 7):
        served.requests.put(segment(trial))
    told = [served.next() for _ in range(5)]
    assert told == [Ready(), *(epoch_ended(trial, epoch) for trial in (4, 7) for epoch in (1, 2))]


def test_a_request_to_stop_is_heard_while_a_segment_runs_and_not_by_the_next_one(
    worker: Callable[..., Served],
) -> None:
    heard: list[bool] = []

    def run(given: Segment, observe: Observe, should_stop: ShouldStop) -> Future[None]:
        if given.trial == 0:
            while not should_stop():
                observe(epoch_ended(0, 1))
        heard.append(should_stop())
        observe(TrainingEnded(trial=given.trial, attempt=1, epoch=1, over=False, time=1))
        return done()

    served = worker(run)
    served.requests.put(segment(0))
    assert [served.next(), served.next()] == [Ready(), epoch_ended(0, 1)]
    served.requests.put(StopSegment())
    while not isinstance(served.next(), TrainingEnded):
        pass
    served.requests.put(segment(1))
    assert isinstance(served.next(), TrainingEnded)
    assert heard == [True, False]


def test_a_failure_is_described_and_the_next_segment_runs(worker: Callable[..., Served]) -> None:
    late: Future[None] = Future()

    def run(given: Segment, observe: Observe, _: ShouldStop) -> Future[None]:
        if given.trial == 0:
            raise ValueError("no such layer")
        observe(epoch_ended(given.trial, 1))
        return late if given.trial == 1 else done()

    served = worker(run)
    for trial in (0, 1, 2):
        served.requests.put(segment(trial))
    told = [served.next() for _ in range(4)]
    assert told == [
        Ready(), describe(segment(0), ValueError("no such layer")), epoch_ended(1, 1), epoch_ended(2, 1)
    ]  # fmt: skip
    late.set_exception(OSError("the disk is gone"))
    assert served.next() == describe(segment(1), OSError("the disk is gone"))


def test_questions_are_answered_between_segments_in_the_order_they_came(
    worker: Callable[..., Served],
) -> None:
    def run(given: Segment, observe: Observe, _: ShouldStop) -> Future[None]:
        observe(epoch_ended(given.trial, 1))
        return done()

    served = worker(run)
    for request in (segment(1), QUESTION, segment(2)):
        served.requests.put(request)
    told = [served.next() for _ in range(4)]
    assert told == [Ready(), epoch_ended(1, 1), answer(QUESTION), epoch_ended(2, 1)]


def test_a_worker_is_heard_of_only_when_it_can_train(worker: Callable[..., Served]) -> None:
    requests: queue.Queue[Request | None] = queue.Queue()
    reports: queue.Queue[Report] = queue.Queue()
    may_start, listening = threading.Event(), threading.Event()

    def receive() -> Request | None:
        listening.set()
        return requests.get()

    def start() -> Trainer:
        may_start.wait(PATIENCE)
        return Trainer(lambda *_: done(), describe, answer)

    thread = threading.Thread(target=serve, args=(receive, reports.put, start))
    thread.start()
    assert listening.wait(PATIENCE)
    assert reports.empty()
    may_start.set()
    assert reports.get(timeout=PATIENCE) == Ready()
    requests.put(None)
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    "request_", [segment(3), StopSegment(), QUESTION], ids=["segment", "stop", "question"]
)
def test_requests_come_back_from_their_line(request_: Request) -> None:
    line = encode_request(request_)
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert decode_request(line) == request_


@pytest.mark.parametrize(
    "report", [Ready(), epoch_ended(2, 1), answer(QUESTION)], ids=["ready", "event", "answer"]
)
def test_reports_come_back_from_their_line(report: Report) -> None:
    line = encode_report(report)
    assert line.count("\n") == 1
    assert decode_report(line) == decode_report(line.encode()) == report
