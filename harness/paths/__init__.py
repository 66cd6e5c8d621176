"""Every file and folder name, and the only ways to write a file that must survive a crash."""

from __future__ import annotations

from harness.paths.checksum import sha256_of
from harness.paths.durable import (
    PRIVATE_FILE,
    PRIVATE_FOLDER,
    UNFINISHED,
    fill_folder,
    make_folder,
    sync_file,
    sync_folder,
    sync_tree,
    temporary_beside,
    unfinished_in,
    write_file,
    write_folder,
    write_text,
)
from harness.paths.places import (
    cache,
    calibration_file,
    downloaded_model,
    embeddings_file,
    graph_beside,
    holds_studies,
    home,
    optuna_storage,
    study_names,
    tracking_uri,
    unpacked_bundle,
)
from harness.paths.room import give_up, is_full, lack_of_room, when_there_is_room
from harness.paths.sqlite import (
    is_sqlite,
    sqlite_file,
    sqlite_uri,
)
from harness.paths.study import (
    StudyPaths,
)

__all__ = [
    "PRIVATE_FILE",
    "PRIVATE_FOLDER",
    "UNFINISHED",
    "StudyPaths",
    "cache",
    "calibration_file",
    "downloaded_model",
    "embeddings_file",
    "fill_folder",
    "give_up",
    "graph_beside",
    "holds_studies",
    "home",
    "is_full",
    "is_sqlite",
    "lack_of_room",
    "make_folder",
    "optuna_storage",
    "sha256_of",
    "sqlite_file",
    "sqlite_uri",
    "study_names",
    "sync_file",
    "sync_folder",
    "sync_tree",
    "temporary_beside",
    "tracking_uri",
    "unfinished_in",
    "unpacked_bundle",
    "when_there_is_room",
    "write_file",
    "write_folder",
    "write_text",
]
