"""`harness audit` as it is typed: its table, its JSON, its page, its exit code."""

from __future__ import annotations

import json
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from harness.cli import main
from tests.audit.plant import FAULTS, draw, picture, save


@pytest.fixture
def pets() -> Path:
    draw(Path("pets"), 0)
    return Path("pets")


def typed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["harness", "audit", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_clean_set_passes_strictly(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = typed(capsys, "pets", "--no-suspects", "--strict")
    assert code == 0
    assert "42 images, 3 classes" in out
    assert "found nothing  refused, leak, conflict" in out
    assert out.splitlines()[-1].split() == ["page", "pets-audit.html"]
    assert "decoding images" in err
    assert Path("pets-audit.html").is_file()


def test_a_conflict_fails_strictly_and_is_named_with_all_paths(
    pets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FAULTS["conflict"](pets)
    assert typed(capsys, "pets", "--no-suspects")[0] == 0
    code, out, _ = typed(capsys, "pets", "--no-suspects", "--strict", "--json", "--out", "here.html")
    assert code == 1
    found = json.loads(out)
    assert found["page"] == "here.html"
    (conflict,) = [one for one in found["findings"] if one["check"] == "conflict"]
    assert conflict["severity"] == "error"
    (group,) = conflict["groups"]
    assert {(image["name"], image["label"]) for image in group["images"]} == {
        ("cat/00.png", "cat"),
        ("dog/copy.png", "dog"),
    }
    assert all(Path(image["path"]).is_file() for image in group["images"])
    assert "leak" in found["found_nothing"]
    assert set(found["classes"]) == {"cat", "dog", "owl"}


def test_the_page_is_whole_and_trusts_no_name(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = 'x" onerror="alert(1)"><script>alert(2)<'
    save(picture(1), pets / "a<b>&amp;" / f"{hostile}.png")
    for number in range(12):
        save(picture(200 + number), pets / "a<b>&amp;" / f"{number}.png")
    (pets / "dog" / f"{hostile}.jpg").write_bytes(b"nothing")
    (pets / "dog" / f".{hostile}").write_bytes(b"nothing")
    save(picture(1), pets / "cat" / "same.png")
    for fault in FAULTS.values():
        fault(pets)
    assert typed(capsys, "pets", "--no-suspects", "--set", "dataset.max_unreadable=0.5")[0] == 0
    page = Page(Path("pets-audit.html"))
    names = {tag for tag, _ in page.tags}
    assert "script" not in names
    assert not names & {"link", "iframe", "object"}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert len([tag for tag, _ in page.tags if tag == "img"]) > 20
    for text in (hostile, "a<b>&amp;", "cat/bomb.png", "it claims 60,000×60,000 pixels"):
        assert text in page.text
    (policy,) = [one["content"] for tag, one in page.tags if one.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_a_page_stays_small_whatever_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3000, 32, 32, 3), np.uint8)
    images[1000:2000] = images[:1000]
    images[2000:] = images[0]
    np.savez("twice.npz", x=images, y=np.arange(3000) % 2)
    assert typed(capsys, "twice.npz", "--no-suspects")[0] == 0
    assert Path("twice-audit.html").stat().st_size < 3_000_000
    page = Page(Path("twice-audit.html"))
    assert len([tag for tag, _ in page.tags if tag == "img"]) < 500
    assert "more; harness audit --json names all of them" in page.text
    assert "train[1000]" in page.text


def test_an_experiment_means_its_data_and_splits(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = typed(capsys, "quickstart", "--no-suspects", "--json")
    assert code == 0
    assert json.loads(out)["splits"] == {"train": 1222, "validation": 306, "test": 269}
    _, out, _ = typed(capsys, "digits", "--no-suspects", "--json", "--set", "dataset.test_fraction=0.5")
    assert json.loads(out)["splits"]["test"] > 800


def test_mistakes_are_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = typed(capsys, "nowhere")
    assert code == 2
    assert "nowhere" in err
    assert "Traceback" not in err
    code, _, err = typed(capsys, "digits", "--out", "no/where.html")
    assert code == 2
    assert "The folder no does not exist" in err


def test_what_a_sweep_refuses_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(12):
        save(picture(number), Path("pets", "cat", f"{number}.png"))
    save(picture(99), Path("pets", "dog", "only.png"))
    code, out, _ = typed(capsys, "pets", "--strict")
    assert code == 1
    assert "A sweep would not begin on this data" in out
    assert "only 1 image to train on" in out
