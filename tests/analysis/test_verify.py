"""What `verify` says of what people did in MLflow, and that `sync` agrees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.analysis.verify import Check, verify
from harness.errors import StoreError
from harness.paths import StudyPaths
from harness.study.event_log import EventLog, read
from harness.tracking.audit import audit_study
from harness.tracking.cursor import read_cursor
from harness.tracking.sync import sync_study
from tests.conftest import keep_tables
from tests.tracking.subjects import client, delete_for_good, delete_model, delete_run, experiment_id, run_of
from tests.tracking.test_mlflow_tracker import events

pytestmark = pytest.mark.slow


@pytest.fixture
def paths(mlflow_tables: Path) -> StudyPaths:
    """A study that has ended and is in both stores."""
    keep_tables(mlflow_tables)
    made = StudyPaths.of("pets-1")
    made.folder.mkdir(parents=True)
    (made.folder / "model.keras").write_bytes(b"weights")
    log = EventLog(made.log)
    for event in events(made.folder / "model.keras"):
        log.append(event)
    log.close()
    sync_study(made)
    return made


def checks(paths: StudyPaths) -> dict[str, Check]:
    records = read(paths.log)
    found = verify(paths, records, audit_study(paths, records), lambda: False, (), lambda _: "")
    return {check.name: check for check in found}


def problems(paths: StudyPaths) -> list[str]:
    return [problem for check in checks(paths).values() for problem in check.problems]


def notes(paths: StudyPaths) -> list[str]:
    return [note for check in checks(paths).values() for note in check.notes]


@pytest.mark.parametrize(
    ("delete", "note"),
    [
        (lambda: delete_run(0), "the run of trial 0 was deleted in MLflow"),
        (lambda: delete_run(2), "the run of trial 2 was deleted in MLflow"),
        (lambda: delete_for_good(1), "the run of trial 1 was deleted in MLflow"),
        (lambda: delete_model(0), "the model of trial 0 was deleted in MLflow"),
    ],
    ids=["run", "failed run", "run, for good", "model"],
)
def test_what_was_deleted_is_a_note_before_and_after_sync(
    paths: StudyPaths, delete: Callable[[], None], note: str
) -> None:
    assert not problems(paths)
    assert not notes(paths)
    delete()
    for _ in range(2):
        assert not problems(paths)
        assert notes(paths) == [note]
        said: list[str] = []
        sync_study(paths, note=said.append)
        assert len(said) == 1
        assert "--restore" in said[0]
    sync_study(paths, restore=True)
    assert not problems(paths)
    assert not notes(paths)


@pytest.mark.parametrize("delete", [delete_run, delete_for_good], ids=["bin", "for good"])
def test_the_studys_own_run_is_missed_until_sync(
    paths: StudyPaths, delete: Callable[[int | None], None]
) -> None:
    delete(None)
    assert problems(paths)
    assert not notes(paths)
    sync_study(paths)
    assert not problems(paths)


def another_store(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{Path.cwd()}/{name}.db")


def test_a_run_that_was_restored_lacks_what_was_skipped_until_sync(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody takes a run out of the bin in MLflow itself, after records of it had been left out."""
    another_store(monkeypatch, "another")
    content = paths.log.read_bytes()
    paths.log.write_bytes(b"".join(content.splitlines(keepends=True)[:11]))
    sync_study(paths)
    own = run_of(1).info.run_id
    client().delete_run(own)
    paths.log.write_bytes(content)
    sync_study(paths)
    assert read_cursor(paths.tracking_cursor).left_out == (1,)
    client().restore_run(own)
    assert any("trial 1: MLflow lacks" in problem for problem in problems(paths))
    sync_study(paths)
    assert not problems(paths)
    assert not notes(paths)
    assert read_cursor(paths.tracking_cursor).left_out == ()


def test_an_experiment_in_the_bin_is_told_by_verify_and_sync_and_restored(paths: StudyPaths) -> None:
    client().delete_experiment(experiment_id())
    for look in (checks, sync_study):
        with pytest.raises(StoreError, match=r"lies in MLflow's bin.*harness sync pets-1 --restore"):
            look(paths)
    sync_study(paths, restore=True)
    assert not problems(paths)
    assert not notes(paths)


def test_a_study_goes_to_the_experiment_that_is_named_when_its_own_was_deleted(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    client().delete_experiment(experiment_id())
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "elsewhere")
    sync_study(paths)
    found = client().get_experiment_by_name("elsewhere")
    assert found is not None
    assert len(client().search_runs([found.experiment_id])) == 4
    assert read_cursor(paths.tracking_cursor).experiment == found.experiment_id
    assert not problems(paths)


def test_a_named_experiment_does_not_split_a_study(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "elsewhere")
    said: list[str] = []
    sync_study(paths, note=said.append)
    assert said == ["MLflow: this study is in the experiment 'pets', and stays there."]
    assert client().get_experiment_by_name("elsewhere") is None
    assert not problems(paths)


def test_a_cursor_of_another_store_is_not_believed(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store has part of the study; then another one gets all of it, and the cursor speaks of that one."""
    content = paths.log.read_bytes()
    another_store(monkeypatch, "another")
    paths.log.write_bytes(b"".join(content.splitlines(keepends=True)[:8]))
    sync_study(paths)
    paths.log.write_bytes(content)
    another_store(monkeypatch, "third")
    sync_study(paths)
    assert read_cursor(paths.tracking_cursor).seq == 17
    assert not problems(paths)
    another_store(monkeypatch, "another")
    assert problems(paths)
    sync_study(paths)
    assert not problems(paths)
    assert not notes(paths)


def test_a_log_of_the_version_before_goes_on(paths: StudyPaths) -> None:
    """Its cursor said nothing but a number."""
    paths.tracking_cursor.write_text('{"seq": 17}')
    sync_study(paths)
    assert not problems(paths)
    assert read_cursor(paths.tracking_cursor).run == run_of(None).info.run_id
