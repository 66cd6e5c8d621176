"""The commit that a session is run from, and what was not committed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import IO

from harness.tracking.redaction import HIDDEN, without_secrets

MOST_BYTES = 100_000
"""Of a diff; what is longer is cut, and says so."""
SECONDS = 10
SECRET_FILES = (
    ".env*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "id_rsa*", "id_dsa*",
    "id_ecdsa*", "id_ed25519*", ".netrc", ".pgpass", ".htpasswd", "*credentials*", "*secret*",
)  # fmt: skip
"""Patterns of the names of files that hold secrets: nothing of them is recorded."""
_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_TOKEN = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|hf_|sk-|dapi)[A-Za-z0-9_-]{16,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
)
"""Tokens of well-known services, and web tokens."""


def commit(folder: Path) -> str | None:
    """The commit of the repository that a folder is in, with `+changes` if tracked files differ from it.

    None outside of a repository, without a commit, or without git.
    """
    try:
        found = _git(folder, "rev-parse", "HEAD")
        return f"{found}+changes" if _git(folder, "status", "--porcelain", "-uno") else found
    except (OSError, subprocess.SubprocessError):
        return None


def uncommitted(folder: Path) -> str:
    """How the tracked files of the repository that a folder is in differ from its commit: a `git diff`.

    At most `MOST_BYTES`, without secrets and without files that usually hold some; never anything of files
    that git does not track. Empty without such differences, outside of a repository, and where the
    environment variable `HARNESS_RECORD_DIFF` is `no`.
    """
    if os.environ.get("HARNESS_RECORD_DIFF", "").lower() in ("no", "0", "false"):
        return ""
    try:
        top = _git(folder, "rev-parse", "--show-toplevel")
        content = _beginning(Path(top))
    except (OSError, subprocess.SubprocessError):
        return ""
    text, cut = content[:MOST_BYTES].decode("utf-8", errors="replace"), len(content) > MOST_BYTES
    shown = _without_secrets(text)
    if cut:
        whole, _, _ = shown.rpartition("\n")
        shown = f"{whole}\n… cut here: the diff has more than {MOST_BYTES:,} bytes.\n"
    return shown


def _beginning(top: Path) -> bytes:
    """The first `MOST_BYTES` of the diff, and one more if there are more."""
    without = [f":(exclude,icase,glob)**/{pattern}" for pattern in SECRET_FILES]
    # No program that the repository's configuration names is run.
    command = ["diff", "--no-color", "--no-ext-diff", "--no-textconv", "HEAD", "--", ".", *without]
    with subprocess.Popen(
        ["git", "-C", str(top), *command],  # noqa: S607 - the user's own git
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        content = _read(process.stdout)
        if len(content) > MOST_BYTES:
            process.kill()  # nobody reads the rest
        else:
            process.wait(SECONDS)
    return content


def _read(stream: IO[bytes] | None) -> bytes:
    assert stream is not None
    return stream.read(MOST_BYTES + 1)


def _without_secrets(text: str) -> str:
    """The diff with everything hidden that is a secret, or looks like one."""
    text = _KEY_BLOCK.sub(HIDDEN, text)
    return _TOKEN.sub(HIDDEN, without_secrets(text))


def _git(folder: Path, *arguments: str) -> str:
    found = subprocess.run(
        ["git", "-C", str(folder), *arguments],  # noqa: S607 - the user's own git
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    return found.stdout.strip()
