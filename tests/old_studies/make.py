"""Make an archive of small studies, to see whether later versions can still go on with them.

    python -m tests.old_studies.make HARNESS ARCHIVE [STUDY …]

HARNESS is the `harness` command of the version that is to be kept, ARCHIVE the `.tar.xz` to write, STUDY one
of those below, by default those of `COMMANDS`. What is in it: folders of pictures, experiment files, the
studies, MLflow's and Optuna's stores. Paths inside are those of the folder it was made in; `unpack` in
`tests/old_studies/test_old_studies.py` puts them right.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

SPACE = """\
space:
  depth: [1, 2]
  width: [4, 6]
  dropout: {type: float, low: 0.0, high: 0.4}
  optimizer: [adam, momentum]
  learning_rate: auto
"""
EXPERIMENTS = {
    "pictures": "dataset: {source: pictures}\ntraining: {epochs: 4}\n"
    "scheduler: {kind: asha, min_epochs: 1, reduction: 2}\n",
    "ordered": "dataset: {source: digits, limit_train: 200}\ntraining: {epochs: 4}\n"
    "scheduler: {kind: asha, min_epochs: 1, reduction: 2}\n",
    "pruner": "dataset: {source: digits, limit_train: 200}\ntraining: {epochs: 3}\n"
    "scheduler: {kind: median, min_epochs: 1, startup_trials: 1}\n",
    "several": "dataset: {source: digits, limit_train: 200}\ntraining: {epochs: 2}\n"
    "scheduler: {kind: none}\nalso: [{metric: parameters}]\nlimits: {parameters: 4000}\n",
    "photographs": "dataset: {source: photographs}\ntraining: {epochs: 4}\n"
    "scheduler: {kind: asha, min_epochs: 1, reduction: 2}\n",
}
COMMANDS = {
    "pictures": ["--trials", "4"],
    "ordered": ["--trials", "6", "--ordered", "--max-epochs-total", "6"],
    "pruner": ["--trials", "6", "--max-epochs-total", "7"],
    "several": ["--trials", "3"],
}
"""By experiment; the study has the same name. Two are complete, two are to be gone on with."""
LATER = {"photographs": ["--trials", "5", "--ordered", "--max-epochs-total", "6"]}
"""One of pictures so large that later versions would make other networks for them; to be gone on with."""


def draw(folder: Path, scale: int) -> None:
    """Two classes of pictures of 6×6 squares of `scale` pixels a side, bright on the left or on the right."""
    rng = np.random.default_rng(0)
    for label in ("left", "right"):
        (folder / label).mkdir(parents=True)
        for number in range(30):
            squares = rng.integers(0, 90, (6, 6), np.uint8)
            squares[:, slice(0, 3) if label == "left" else slice(3, 6)] += np.uint8(150)
            pixels = squares.repeat(scale, axis=0).repeat(scale, axis=1)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")


def main() -> None:
    """Make the archive that the command line names."""
    harness, archive = Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute()
    chosen = sys.argv[3:] or list(COMMANDS)
    with tempfile.TemporaryDirectory(prefix="old-") as name:
        folder = Path(name)
        for pictures, scale in (("pictures", 1), ("photographs", 10)):
            if pictures in chosen:
                draw(folder / pictures, scale)
        environment = os.environ | {"HARNESS_CACHE": str(folder / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
        for experiment in chosen:
            text = f"name: {experiment}\n{EXPERIMENTS[experiment]}{SPACE}"
            (folder / f"{experiment}.yaml").write_text(text)
            command = [str(harness), "sweep", f"{experiment}.yaml", "--study", experiment, "--workers", "1"]
            options = (COMMANDS | LATER)[experiment]
            subprocess.run([*command, *options], cwd=folder, env=environment, check=True)
        (folder / "made-in.txt").write_text(str(folder))
        with tarfile.open(archive, "w:xz", preset=9) as tar:
            for entry in sorted(folder.iterdir()):
                if entry.name != "cache":
                    tar.add(entry, entry.name)


if __name__ == "__main__":
    main()
