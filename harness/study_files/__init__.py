"""The files of a study that workers write and read: checkpoints, models and predictions.

Workers may be on other machines than the coordinator. Nothing but this room knows where the files are: a file
is known by its name within the study, such as `trials/00007/checkpoint-00003-1.ckpt`, which is what the event
log holds.
"""

from __future__ import annotations

from pathlib import Path

from harness.study_files.bucket import BucketFiles, is_bucket, is_bucket_url
from harness.study_files.keeper import Stamp, StudyFiles
from harness.study_files.local import LocalStudyFiles

__all__ = [
    "BucketFiles",
    "LocalStudyFiles",
    "Stamp",
    "StudyFiles",
    "is_bucket",
    "is_bucket_url",
    "study_files",
]


def study_files(place: str | Path) -> StudyFiles:
    """The files of the study at `place`, as `Segment.study_folder` names it: a local folder, or a URL."""
    return BucketFiles(str(place)) if is_bucket(place) else LocalStudyFiles(Path(place))
