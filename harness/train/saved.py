"""A finished model, loaded in a worker from the files of its study."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import keras

from harness.errors import StudyError
from harness.study_files import StudyFiles


def read_recorded(files: StudyFiles, file: str, sha256: str) -> bytes:
    """The content of a file that must be the one that was written.

    Args:
        files: of the study.
        file: the file's name within the study.
        sha256: of the file as it was written, in hex.

    Raises:
        StudyError: the file is gone, or was changed.
    """
    where = files.shown(file)
    try:
        content = files.read(file)
    except OSError as error:
        raise StudyError(f"The file {where} cannot be read: {error.strerror or error}.") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise StudyError(f"The file {where} is damaged: its SHA-256 is not the recorded one.")
    return content


def load_saved(files: StudyFiles, file: str, sha256: str) -> keras.Model:
    """The model in a study's `.keras` file, from pixels (0 to 255) to probabilities.

    No code that the file brings is run.

    Args:
        files: of the study.
        file: the model's name within the study.
        sha256: of that file as it was written, in hex.

    Raises:
        StudyError: the model is gone, was changed, or cannot be loaded.
    """
    content = read_recorded(files, file, sha256)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / Path(file).name
        copy.write_bytes(content)
        try:
            # Safe mode refuses Lambda layers, whose code would be unpickled.
            return keras.saving.load_model(copy, compile=False, safe_mode=True)
        except Exception as error:
            reason = str(error).strip().split("\n", 1)[0]
            raise StudyError(f"The model file {files.shown(file)} cannot be loaded: {reason}") from error
