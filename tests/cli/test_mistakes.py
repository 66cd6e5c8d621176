"""What a user can get wrong: one sentence, the right exit code, no traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow


def harness(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        env=os.environ | environment,
        check=False,
    )


def image(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(len(path)).integers(0, 255, (8, 8)).astype(np.uint8)).save(path)


def missing_folder() -> list[str]:
    return ["sweep", "--dataset", "nowhere/pictures"]


def one_class() -> list[str]:
    for index in range(4):
        image(f"one/cat/{'x' * (index + 1)}.png")
    return ["sweep", "--dataset", "one"]


def class_of_one() -> list[str]:
    for index in range(4):
        image(f"two/cat/{'x' * (index + 1)}.png")
    image("two/dog/alone.png")
    return ["sweep", "--dataset", "two"]


def empty_yaml() -> list[str]:
    Path("empty.yaml").write_text("")
    return ["sweep", "empty.yaml"]


def typo() -> list[str]:
    Path("typo.yaml").write_text("name: t\ndatasett: {}\nspace: {depth: 1}\n")
    return ["sweep", "typo.yaml"]


def corrupted_npz() -> list[str]:
    Path("bad.npz").write_bytes(b"PK\x03\x04 and then nothing")
    return ["sweep", "--dataset", "bad.npz"]


def unwritable() -> list[str]:
    Path("blocked").write_text("a file where a folder should be")
    return ["sweep", "--set", "search.trials=1"]


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (missing_folder, 1, "'nowhere/pictures' was not found"),
        (one_class, 1, "only the class 'cat'"),
        (class_of_one, 1, "The class 'dog' of two has only 1 image"),
        (empty_yaml, 2, "empty.yaml is empty"),
        (typo, 2, "typo.yaml:2: datasett: there is no such key; did you mean dataset?"),
        (corrupted_npz, 1, "bad.npz is damaged"),
        (
            lambda: ["sweep", "--trials", "0"],
            2,
            "Invalid value for '--trials' / '-n': Input should be greater than or equal to 1.",
        ),
        (lambda: ["sweep", "cifar1"], 2, "Did you mean cifar10?"),
        (lambda: ["sweep", "--study", "../escape"], 2, "cannot be called '../escape'"),
        (lambda: ["status"], 1, "There is no study"),
        (lambda: ["resume", "nothing"], 1, "There is no study called 'nothing'"),
        (lambda: ["leaderboard", "nothing"], 1, "There is no study called 'nothing'"),
        (lambda: ["export"], 1, "There is no study"),
        (lambda: ["leaderboard", "--json", "--csv"], 2, "exclude each other"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_mistake_is_one_sentence(make: object, code: int, message: str) -> None:
    done = harness(*make())  # type: ignore[operator]
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stdout == ""


def test_a_folder_that_cannot_be_made_is_one_sentence() -> None:
    done = harness(*unwritable(), HARNESS_HOME="blocked/home")
    assert done.returncode == 1
    assert "cannot be created" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_set_that_cannot_be_downloaded_names_the_file_and_the_alternative() -> None:
    done = harness(
        "sweep",
        "cifar10",
        KERAS_HOME="keras",
        https_proxy="http://127.0.0.1:9",
        http_proxy="http://127.0.0.1:9",
    )
    assert done.returncode == 1
    assert "keras/datasets/cifar-10-batches-py-target.tar.gz" in done.stderr
    assert "--dataset digits" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failed_start_leaves_no_study_behind() -> None:
    harness(*missing_folder())
    assert harness("status").returncode == 1


def test_help_names_every_command_in_its_group() -> None:
    done = harness("--help")
    assert done.returncode == 0
    for word in (
        "Search",
        "Look",
        "Ship",
        "Care",
        "plan",
        "report",
        "sync",
        "verify",
        "sweep",
        "resume",
        "train",
        "status",
        "leaderboard",
        "show",
        "ui",
        "export",
    ):
        assert word in done.stdout


def test_keys_in_the_place_of_a_bucket_are_not_repeated() -> None:
    done = harness("sweep", "--study-files", "s3://AKIAKEY:secret@bucket/prefix")
    assert done.returncode == 2
    assert "it must be s3://BUCKET/PREFIX or gs://BUCKET/PREFIX" in " ".join(done.stderr.split())
    assert "secret" not in done.stderr.replace("AWS_SECRET_ACCESS_KEY", "")
    assert "AKIAKEY" not in done.stderr


def test_a_bucket_that_cannot_be_reached_is_one_sentence_and_leaves_no_study() -> None:
    done = harness(
        "sweep", "--trials", "1", "--study-files", "s3://bucket/prefix", "--study", "s",
        AWS_ENDPOINT_URL="http://127.0.0.1:1", AWS_DEFAULT_REGION="us-east-1",
        AWS_ACCESS_KEY_ID="AKIAKEY", AWS_SECRET_ACCESS_KEY="secret-of-the-bucket",
    )  # fmt: skip
    assert done.returncode == 4
    assert re.search(
        r"s3://bucket/prefix/s-\w{8} cannot be reached: it cannot be connected to\.", done.stderr
    )
    assert "AKIAKEY" not in done.stderr
    assert "secret-of-the-bucket" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path(".harness/studies/s").exists()
