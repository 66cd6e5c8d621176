"""Which files of a network of one's own go to nodes, and where they lie there."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.engine.ray_code import holds, own_code, placed
from harness.errors import EngineError
from harness.paths import cache

FILES = {
    "nets/__init__.py": "",
    "nets/mine.py": "import keras, random, harness\nfrom . import blocks\nfrom .deep.down import DEPTH\n",
    "nets/blocks.py": "def late():\n    import helper\n    from numpy import *\n",
    "nets/deep/__init__.py": "from ..wide import WIDTH\n",
    "nets/deep/down.py": "DEPTH = 1\nfrom ... import nothing\n",
    "nets/wide.py": "WIDTH = 2  # ü\n",
    "helper.py": "import nets.broken\n",
    "nets/broken.py": "def build(:\n",
}
OTHERS = {
    "nets/unused.py": "",
    "nets/weights.bin": "",
    "random.py": "",
    "harness/__init__.py": "",
    "other.py": "",
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    folder = tmp_path / "coordinator"
    for name, text in {**FILES, **OTHERS}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_module_goes_with_all_that_it_imports_from_beside_it_and_nothing_else(directory: Path) -> None:
    assert own_code("nets.mine:build", directory) == FILES
    assert own_code("nets.broken:build", directory).keys() == {"nets/__init__.py", "nets/broken.py"}
    assert own_code("keras.applications:ResNet50", directory) == {}, "it is installed"
    assert own_code(None, directory) == {}


def test_bytes_arrive_as_they_are_and_what_is_there_is_used(directory: Path) -> None:
    latin = b"# -*- coding: latin-1 -*-\nNAME = '\xfc'\n"
    (directory / "nets" / "wide.py").write_bytes(latin)
    files = own_code("nets.mine:build", directory)
    assert holds(directory, files)
    folder = placed(files)
    assert folder.is_relative_to(cache())
    assert (folder / "nets" / "wide.py").read_bytes() == latin
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*.py")} == FILES.keys()
    assert placed(files) == folder
    (directory / "helper.py").write_text("HELP = 1\n", encoding="utf-8")
    assert not holds(directory, files), "a file of another content is another file"
    assert placed(own_code("nets.mine:build", directory)) != folder


def test_a_module_that_cannot_be_read_is_named(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(EngineError, match=r"needs .*__init__\.py, which cannot be read: Permission denied"):
        own_code("nets.mine:build", directory)
