"""What `verify` says of a study whose segments were trained on different devices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.verify import verify
from harness.paths import StudyPaths
from harness.records import Device, LogRecord, SegmentEnded, TrialStarted
from tests.studies import study_started

ONE = Device(
    model="A", capability="8.0", precision="float32", tensor_float_32=True, xla=True, cuda="12", cudnn="9",
    peak_bytes=1,
)  # fmt: skip
OTHER = replace(ONE, model="B")


@pytest.mark.parametrize(
    ("devices", "told"),
    [
        ((ONE, replace(ONE, peak_bytes=2)), None),
        ((None, None), None),
        ((ONE, OTHER, ONE), f"2 on {ONE.described}; 1 on {OTHER.described}"),
        ((ONE, None), f"1 on {ONE.described}; 1 on a processor, or a device that was not recorded"),
    ],
)
def test_different_devices_are_a_note_and_no_problem(
    tmp_path: Path, devices: tuple[Device | None, ...], told: str | None
) -> None:
    events = [
        study_started(),
        TrialStarted(trial=0, params={}, sampled={}, seed=0, time=0),
        *(
            SegmentEnded(
                trial=0, attempt=attempt, epoch=attempt, over=False, seconds=1.0, evaluations=[],
                device=device, time=0,
            )
            for attempt, device in enumerate(devices, 1)
        ),
    ]  # fmt: skip
    records = [LogRecord(seq, event) for seq, event in enumerate(events, 1)]
    checks = verify(StudyPaths(tmp_path), records, [], lambda: False, (), lambda _: "")
    notes = [note for check in checks for note in check.notes]
    problems = [problem for check in checks if check.name == "V6" for problem in check.problems]
    assert problems == []
    if told is None:
        assert notes == []
    else:
        (note,) = notes
        assert note.endswith(f"whose numbers differ in their last digits: {told}")
