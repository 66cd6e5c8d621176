"""What is recorded of a repository: its commit, and a diff that is bounded and tells no secret."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.sweeping.working_tree import MOST_BYTES, commit, uncommitted

SECRETS = [
    "password = 'hunter2hunter2'",
    "  api_key: 0123456789abcdef",
    "MLFLOW_TRACKING_TOKEN=abcdefgh12345678",
    "postgresql://ann:s3cr3t-word@box/mlflow",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
    "Authorization: Bearer abcdefgh.ijklmnop",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nq2F5\n-----END RSA PRIVATE KEY-----",
]
HIDDEN = [
    "hunter2hunter2", "0123456789abcdef", "abcdefgh12345678", "s3cr3t-word", "AKIAIOSFODNN7EXAMPLE",
    "ghp_0123456789", "abcdefgh.ijklmnop", "c2lnbmF0dXJl", "MIIEowIBAAKCAQEA",
]  # fmt: skip


def git(*arguments: str) -> None:
    named = ["-c", "user.name=ann", "-c", "user.email=ann@box", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *named, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(own_workplace: Path) -> Path:
    git("init", "-q")
    Path("net.py").write_text("depth = 1\n")
    Path(".env").write_text("A=1\n")
    Path("inner").mkdir()
    Path("inner/deploy.key").write_text("one\n")
    git("add", ".")
    git("commit", "-qm", "first")
    return own_workplace


def test_what_is_committed_needs_no_diff(repository: Path) -> None:
    Path("untracked.py").write_text("nobody = 'sees this'\n")
    found = commit(repository)
    assert found is not None
    assert len(found) == 40
    assert uncommitted(repository) == ""


def test_the_diff_is_that_of_tracked_files_wherever_one_is(repository: Path) -> None:
    """Staged and not; from a folder within, too; never what git does not track."""
    Path("net.py").write_text("depth = 2\n")
    Path("new.py").write_text("added = 1\n")
    git("add", "new.py")
    Path("untracked.py").write_text("nobody = 'sees this'\n")
    for folder in (repository, repository / "inner"):
        assert str(commit(folder)).endswith("+changes")
        found = uncommitted(folder)
        assert {"-depth = 1", "+depth = 2", "+added = 1"} <= set(found.splitlines())
        assert "nobody" not in found


@pytest.mark.parametrize(("secret", "hidden"), zip(SECRETS, HIDDEN, strict=True))
def test_secrets_are_hidden_whether_they_came_or_went(repository: Path, secret: str, hidden: str) -> None:
    Path("net.py").write_text(f"depth = 2\n{secret}\nwidth = 8\n")
    came = uncommitted(repository)
    git("commit", "-qam", "second")
    Path("net.py").write_text("depth = 2\nwidth = 8\n")
    went = uncommitted(repository)
    for found in (came, went):
        assert "***" in found
        assert hidden not in found
        assert "width = 8" in found


def test_files_that_usually_hold_secrets_are_left_out(repository: Path) -> None:
    Path(".env").write_text("SOMETHING=plain-looking\n")
    Path("inner/deploy.key").write_text("plain-looking\n")
    Path("net.py").write_text("depth = 3\n")
    found = uncommitted(repository)
    assert "depth = 3" in found
    assert "plain-looking" not in found


def test_a_long_diff_is_cut_and_says_so(repository: Path) -> None:
    Path("net.py").write_text("".join(f"line_{number} = {number}\n" for number in range(40_000)))
    found = uncommitted(repository)
    assert "+line_0 = 0" in found
    assert len(found.encode()) < MOST_BYTES + 100
    assert found.endswith("… cut here: the diff has more than 100,000 bytes.\n")


def test_who_does_not_want_it_recorded_says_so(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("net.py").write_text("depth = 2\n")
    monkeypatch.setenv("HARNESS_RECORD_DIFF", "no")
    assert uncommitted(repository) == ""
    assert str(commit(repository)).endswith("+changes")


def test_no_program_that_the_repository_names_is_run(repository: Path) -> None:
    Path(".gitattributes").write_text("*.py diff=own\n")
    git("config", "diff.own.command", "touch ran; true")
    git("config", "diff.own.textconv", "touch ran; cat")
    git("config", "diff.external", "touch ran; true")
    Path("net.py").write_text("depth = 2\n")
    assert "+depth = 2" in uncommitted(repository)
    assert not Path("ran").exists()


def test_without_a_repository_nothing_is_told(own_workplace: Path) -> None:
    assert commit(own_workplace) is None
    assert uncommitted(own_workplace) == ""
