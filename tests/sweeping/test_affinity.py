"""Who gets which segment: nothing is lost, nobody is idle for it, nothing waits for long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.experiment.parameters import complete
from harness.records import Annealing, Segment
from harness.sweeping.affinity import MOST_WAITING, Affinity
from tests.studies import DATASET


def segment(trial: int, width: int) -> Segment:
    """One of a program that only segments of the same width share."""
    return Segment(
        study_folder="nowhere",
        trial=trial,
        attempt=1,
        params=complete({"family": "cnn", "width": width}),
        seed=0,
        start=0,
        stop=1,
        max_epochs=1,
        dataset=DATASET,
    )


def coming(*widths: int) -> Callable[[], Segment | None]:
    rest = iter([segment(number, width) for number, width in enumerate(widths)])
    return lambda: next(rest, None)


def take(affinity: Affinity, idle: int, more: Callable[[], Segment | None]) -> tuple[int, int]:
    """Trial and width of what the idle worker gets."""
    given_to = affinity.take([idle], more)
    assert given_to is not None
    assert given_to[0] == idle
    return given_to[1].trial, int(given_to[1].params["width"])


def test_a_segment_waits_for_the_busy_worker_that_has_compiled_its_program() -> None:
    affinity, more = Affinity(2), coming(16, 32, 16, 32, 64)
    assert take(affinity, 0, more) == (0, 16)
    assert take(affinity, 1, more) == (1, 32)
    assert take(affinity, 1, more) == (3, 32), "trial 2 had better wait for worker 0"
    assert take(affinity, 0, more) == (2, 16)
    assert take(affinity, 0, more) == (4, 64)
    assert affinity.take([0], more) is None


def test_nobody_is_idle_for_it() -> None:
    affinity, more = Affinity(2), coming(16, 16)
    assert take(affinity, 0, more) == (0, 16)
    assert take(affinity, 1, more) == (1, 16)


def test_it_does_not_wait_for_long() -> None:
    affinity, more = Affinity(2), coming(16, 32, 16, 32, 32, 32, 32)
    taken = [take(affinity, worker, more)[0] for worker in (0, 1, 1, 1, 1, 1, 1)]
    assert taken == [0, 1, 3, 4, 2, 5, 6]


def test_a_fresh_worker_has_compiled_nothing() -> None:
    affinity, more = Affinity(2), coming(16, 32, 16, 16)
    assert take(affinity, 0, more) == (0, 16)
    affinity.forget(0)
    assert take(affinity, 1, more) == (1, 32)
    assert take(affinity, 1, more) == (2, 16), "nobody has compiled it, so it waits for nobody"


class Literally:
    """The rules, word by word: every segment that waits is looked at, for each worker."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.waiting: list[list[int]] = []
        """Trial, width, and how many younger ones went before."""
        self.compiled: dict[int, list[int]] = {}

    def take(self, idle: list[int], more: Callable[[], Segment | None]) -> tuple[int, int] | None:
        while (chosen := self.suitable(idle)) is None:
            another = more() if len(self.waiting) < min(2 * self.workers, MOST_WAITING) else None
            if another is not None:
                self.waiting.append([another.trial, int(another.params["width"]), 0])
            elif self.waiting:
                chosen = self.waiting[0]
                break
            else:
                return None
        for older in self.waiting[: self.waiting.index(chosen)]:
            older[2] += 1
        self.waiting.remove(chosen)
        worker = min(sorted(idle), key=lambda one: self.age(one, chosen[1]))
        own = self.compiled.setdefault(worker, [])
        self.compiled[worker] = [width for width in own if width != chosen[1]] + [chosen[1]]
        return worker, chosen[0]

    def suitable(self, idle: list[int]) -> list[int] | None:
        here = {width for worker in idle for width in self.compiled.get(worker, [])}
        anywhere = {width for own in self.compiled.values() for width in own}
        for rule in (
            [one for one in self.waiting if one[2] >= self.workers],
            [one for one in self.waiting if one[1] in here],
            [one for one in self.waiting if one[1] not in anywhere],
        ):
            if rule:
                return rule[0]
        return None

    def age(self, worker: int, width: int) -> int:
        own = self.compiled.get(worker, [])
        return own[::-1].index(width) if width in own else len(own) + 1


@given(
    workers=st.integers(1, 50),
    widths=st.lists(st.sampled_from([16, 32, 48, 64, 80]), max_size=150),
    calls=st.lists(
        st.tuples(st.sets(st.integers(0, 49), min_size=1, max_size=5), st.booleans()), max_size=150
    ),
)
def test_the_choices_are_those_of_the_rules(
    workers: int, widths: list[int], calls: list[tuple[set[int], bool]]
) -> None:
    affinity, more = Affinity(workers), coming(*widths)
    literally, the_same = Literally(workers), coming(*widths)
    for call, forget in calls:
        idle = sorted({worker % workers for worker in call})
        if forget:
            affinity.forget(idle[0])
            literally.compiled.pop(idle[0], None)
        found = affinity.take(idle, more)
        assert (found and (found[0], found[1].trial)) == literally.take(idle, the_same)
        waiting = [segment.trial for segment in affinity.waiting]
        assert waiting == [trial for trial, _, _ in literally.waiting]
        assert [trial for trial in range(len(widths)) if affinity.has(trial)] == sorted(waiting)


@given(
    workers=st.integers(1, 4),
    widths=st.lists(st.sampled_from([16, 32, 48]), max_size=30),
    calls=st.lists(st.sets(st.integers(0, 3), min_size=1), max_size=60),
)
def test_all_are_handed_out_once_and_few_before_their_elders(
    workers: int, widths: list[int], calls: list[set[int]]
) -> None:
    affinity, more = Affinity(workers), coming(*widths)
    taken: list[int] = []
    for call in [*calls, *[{0}] * len(widths)]:
        idle = sorted({worker % workers for worker in call})
        found = affinity.take(idle, more)
        assert found is not None or len(taken) == len(widths)
        assert len(affinity.waiting) <= 2 * workers
        if found is not None:
            assert found[0] in idle
            taken.append(found[1].trial)
    assert sorted(taken) == list(range(len(widths)))
    for place, trial in enumerate(taken):
        assert sum(younger > trial for younger in taken[:place]) <= workers


def test_what_is_trained_to_its_end_in_the_time_that_is_left_does_not_wait_for_a_busy_worker() -> None:
    affinity = Affinity(2)
    assert take(affinity, 0, coming(4)) == (0, 4)
    hurried = replace(segment(1, 4), annealing=Annealing(start=1, stop=2))
    following = iter([hurried, segment(2, 8)])
    assert take(affinity, 1, lambda: next(following, None)) == (1, 4)
