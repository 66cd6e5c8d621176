"""The scripts that the stack's containers run, where nothing else is needed for them."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack.composed import ROOT

DEPLOY = ROOT / "deploy"
SCRIPTS = sorted(
    file
    for file in DEPLOY.rglob("*")
    if file.is_file() and file.read_bytes().startswith((b"#!/bin/sh", b"#!/bin/bash"))
)


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    done = run(Path(sys.executable).parent / "shellcheck", script)
    assert done.returncode == 0, done.stdout


def test_the_scripts_are_there_and_can_be_run() -> None:
    names = {script.name for script in SCRIPTS}
    assert {"with-secrets", "make-secrets", "init.sh", "backup.sh", "restore.sh"} <= names
    assert [script.name for script in SCRIPTS if not os.access(script, os.X_OK)] == []


def test_secrets_are_made_once_and_differ(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert run(DEPLOY / "make-secrets", folder).returncode == 0
    files = {file.relative_to(folder): file.read_text() for file in folder.rglob("*") if file.is_file()}
    plain = [text for file, text in files.items() if not str(file).startswith("s3_")]
    assert len(plain) == len(set(plain)) == 8
    assert all(len(text) == 48 for text in plain)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    key = files[Path("s3_credentials")].split()[-1]
    assert f'"secretKey": "{key}"' in files[Path("s3_config.json")]
    again = run(DEPLOY / "make-secrets", folder)
    assert (again.returncode, again.stderr) == (0, "")
    assert {one: (folder / one).read_text() for one in files} == files


def test_a_command_gets_its_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "password").write_text('it\'s $HOME "quoted"\n')
    script = 'printf %s "$PGPASSWORD"; env | grep -c PGPASSWORD_FILE || true'
    done = run(DEPLOY / "with-secrets", "sh", "-c", script, PGPASSWORD_FILE=f"{tmp_path}/password")
    assert done.stdout == 'it\'s $HOME "quoted"0\n'


@pytest.mark.parametrize("content", [None, ""])
def test_a_missing_or_empty_secret_is_named_and_nothing_is_run(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content)
    done = run(DEPLOY / "with-secrets", "echo", "ran", HARNESS_SERVE_TOKEN_FILE=f"{tmp_path}/token")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{tmp_path}/token, which HARNESS_SERVE_TOKEN_FILE names" in done.stderr


def test_without_secrets_a_command_is_just_run() -> None:
    done = run(DEPLOY / "with-secrets", "sh", "-c", "echo $0 $1; exit 3", "one", "two words")
    assert (done.returncode, done.stdout) == (3, "one two words\n")


def test_the_images_extras_exist() -> None:
    extras = re.search(r'^ARG EXTRAS="(.*)"', (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert extras is not None
    done = run(sys.executable, DEPLOY / "requirements.py", *extras[1].split())
    assert done.returncode == 0, done.stderr
    assert "uvicorn" in done.stdout
    unknown = run(sys.executable, DEPLOY / "requirements.py", "servee")
    assert unknown.returncode == 1
    assert "no extra servee" in unknown.stderr


def test_what_the_dockerfile_copies_is_given_to_the_builder() -> None:
    given = [line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines()]
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY "):
            sources = [one for one in line.split()[1:-1] if not one.startswith("--")]
            assert [one for one in sources if not (ROOT / one).exists()] == []
            assert [one for one in sources if one.split("/")[0] not in given] == []


@pytest.mark.parametrize(
    ("script", "arguments"), [("backup.sh", ["twice"]), ("restore.sh", ["postgres", "x"]), ("restore.sh", [])]
)
def test_a_wrong_use_is_said(script: str, arguments: list[str]) -> None:
    done = run(DEPLOY / "postgres" / script, *arguments)
    assert done.returncode == 2
    assert "Say once, check" in done.stderr or "usage:" in done.stderr
