"""`harness plan` shows how data would be taken, without decoding any."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from harness.cli import main


def plan(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """Standard output and error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["harness", "plan", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    said = capsys.readouterr()
    return said.out, said.err


def folders() -> None:
    for folder in ("train/cat", "train/dog", "dev/cat", "dev/dog", "test"):
        for number in range(3):
            file = Path("pets", folder, f"{number}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"not decoded")


def test_a_plan_says_how_a_folder_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    folders()
    out, err = plan(capsys, "--dataset", "pets")
    assert "pets: 6 train, 6 validation images, 2 classes (nothing is decoded)" in out
    assert "dev is validation" in err
    assert "Not used: test (3 images)" in err
    assert not Path(os.environ["HARNESS_CACHE"], "datasets").exists()


def test_a_plan_as_json_has_the_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    folders()
    out, err = plan(capsys, "--dataset", "pets", "--json")
    assert err == ""
    notes = json.loads(out)["data"]["notes"]
    assert any("dev is validation" in note for note in notes)


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_plan_gives_advice_about_the_file(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    Path("mine.yaml").write_text("name: mine\nspace: {depth: 2}\nlimits: {parameters: 9}\n")
    _, err = plan(capsys, "mine.yaml", *arguments)
    assert err == "mine.yaml: The key limits is now called constraints; rename it.\n"


def test_a_plan_needs_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = plan(capsys, "--dataset", "nowhere")
    assert "rungs" in out
    assert "The data set 'nowhere' was not found" in err
