"""The user's own network on machines that do not have it: its module, and those beside it that it imports.

Python files go, and nothing else: whoever needs more installs the network as a package on all machines.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.engine.ray_files import NODES
from harness.errors import EngineError
from harness.paths import cache, make_folder, write_file

NOT_OWN = frozenset({*sys.stdlib_module_names, __name__.partition(".")[0]})
"""Modules that every machine has, whatever lies in the working directory."""


def own_code(model: str | None, directory: Path) -> dict[str, str]:
    """The files of a network that lies in a directory, by their names in it; none if it is installed.

    Args:
        model: `package.module:function`, if the experiment names one.
        directory: where modules are looked for.

    Raises:
        EngineError: a file cannot be read.
    """
    found: dict[str, str] = {}
    waiting = [] if model is None else [model.partition(":")[0]]
    looked: set[str] = set()
    while waiting:
        module = waiting.pop()
        if not module or module in looked or module.partition(".")[0] in NOT_OWN:
            continue
        looked.add(module)
        for package, file in _files(module, directory):
            name = file.relative_to(directory).as_posix()
            if name not in found:
                try:
                    content = file.read_bytes()
                except OSError as error:
                    raise EngineError(
                        f"The model {model} needs {file}, which cannot be read: {error.strerror}."
                    ) from error
                # Bytes that are not UTF-8 stay what they are.
                found[name] = content.decode("utf-8", "surrogateescape")
                waiting += _imports(content, package)
    return found


def holds(directory: Path, files: dict[str, str]) -> bool:
    """Whether a directory has these files."""
    try:
        return all((directory / name).read_bytes() == _bytes(text) for name, text in files.items())
    except OSError:
        return False


def placed(files: dict[str, str]) -> Path:
    """A folder of this machine's cache that has these files, and no other modules.

    Raises:
        OSError: it cannot be written.
    """
    digest = hashlib.sha256()
    for name, text in sorted(files.items()):
        digest.update(f"{name} {hashlib.sha256(_bytes(text)).hexdigest()}\n".encode())
    folder = cache() / NODES / "code" / digest.hexdigest()
    if not holds(folder, files):
        for name, text in files.items():
            target = folder / name
            make_folder(target.parent)
            write_file(target, lambda temporary, text=text: temporary.write_bytes(_bytes(text)))  # type: ignore[misc]
    return folder


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _files(module: str, directory: Path) -> Iterator[tuple[str, Path]]:
    """The files that importing a module runs, each with the package that its relative imports are of."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        name, place = ".".join(parts[:depth]), directory.joinpath(*parts[:depth])
        inside, alone = place / "__init__.py", place.with_suffix(".py")
        if inside.is_file():
            yield name, inside
        elif depth == len(parts) and alone.is_file():
            yield name.rpartition(".")[0], alone


def _imports(content: bytes, package: str) -> Iterator[str]:
    """The modules that code may import, by their whole names; none if it is not Python."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return  # the worker finds it, and says where
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if node.level and package else []
            above = parts[: len(parts) - node.level + 1]
            base = ".".join([*above, node.module] if node.module else above)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
