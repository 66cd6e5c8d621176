"""The simulation of many workers, at small size."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks.scale import STUDY, recorded_epochs, simulate
from harness.paths import StudyPaths
from harness.records import EpochEnded
from harness.study.event_log import EventLog, read
from harness.study.state import fold


def test_a_simulated_study_is_whole_and_told_in_seconds_of_the_simulation(tmp_path: Path) -> None:
    options = argparse.Namespace(events=300, sync=0.002, sampler="tpe")
    found = simulate(tmp_path / "many", 60, [1.0, 2.0, 3.0], options)
    assert found["events"] >= 300
    assert 0 < found["processor_share"] < found["busy_share"] <= 1
    assert found["events_per_second"] < 60 * 2 / 1.0, "no more than the workers can send"
    assert found["events_per_sync"] > 1
    records = read(StudyPaths.of(STUDY).log)
    state = fold(records)
    assert len(state.trials) == found["trials"]
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert all(trial.worker is not None or trial.state == "waiting" for trial in state.trials.values())


def test_epochs_are_stretched_so_that_workers_send_as_many_events_as_asked_for(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    for epoch, seconds in enumerate((1.0, 3.0), 1):
        log.append(EpochEnded(trial=0, attempt=1, epoch=epoch, metrics={"epoch_seconds": seconds}, time=1))
    log.close()
    assert recorded_epochs(tmp_path / "events.jsonl", 2.0) == [0.5, 1.5]


def test_a_study_without_epochs_is_refused(tmp_path: Path) -> None:
    EventLog(tmp_path / "events.jsonl").close()
    with pytest.raises(SystemExit, match="no epochs"):
        recorded_epochs(tmp_path / "events.jsonl", 1.0)
