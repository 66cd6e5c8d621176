"""What `import harness` gives: a few names, at once, and nothing else changes."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.errors import HarnessError

ROOT = Path(__file__).parent.parent.parent
NAMES = {
    "load", "sweep", "open_study", "Experiment", "Study", "TrialResult", "EnsembleResult", "HarnessError",
    "__version__",
}  # fmt: skip


def fresh(code: str) -> str:
    """What a new interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_all_is_all_there_is() -> None:
    assert set(harness.__all__) == NAMES
    assert set(dir(harness)) == NAMES
    starred = json.loads(
        fresh("import json\nbefore = set(globals())\nfrom harness import *\n"
              "print(json.dumps(sorted(set(globals()) - before - {'before'})))")
    )  # fmt: skip
    assert set(starred) == NAMES
    with pytest.raises(AttributeError, match="no attribute 'sweeep'"):
        _ = harness.sweeep  # type: ignore[attr-defined]


def test_no_part_of_the_package_takes_the_place_of_a_public_name() -> None:
    """A subpackage of the same name would, as soon as anything of it is imported."""
    packages = {entry.stem for entry in (ROOT / "harness").iterdir()}
    assert "cli" in packages
    assert not packages & NAMES
    fresh("import harness, pkgutil, importlib\n"
          "for found in pkgutil.iter_modules(harness.__path__):\n"
          "    found.name == '__main__' or importlib.import_module('harness.' + found.name)\n"
          "import harness.sweeping.session\n"
          "assert callable(harness.sweep) and callable(harness.load)")  # fmt: skip


def test_every_public_thing_says_what_it_does() -> None:
    for name in NAMES - {"__version__"}:
        assert getattr(harness, name).__doc__, name
    for owner in (harness.Study, harness.TrialResult, harness.EnsembleResult):
        for name, member in vars(owner).items():
            if not name.startswith("_") and name != "number":
                assert member.__doc__, name


def test_importing_it_loads_nothing_heavy_and_changes_no_setting() -> None:
    found = json.loads(
        fresh(
            "import json, os, signal, sys\n"
            "numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)\n"
            "before = dict(os.environ), [signal.getsignal(one) for one in numbers]\n"
            "import harness\n"
            "dir(harness), harness.__version__\n"
            "after = dict(os.environ), [signal.getsignal(one) for one in numbers]\n"
            "loaded = sorted({name.split('.')[0] for name in sys.modules})\n"
            "print(json.dumps([before == after, loaded]))"
        )
    )
    unchanged, loaded = found
    assert unchanged
    heavy = {"tensorflow", "keras", "mlflow", "optuna", "pandas", "sklearn", "pydantic", "numpy", "typer"}
    assert "harness" in loaded
    assert not heavy & set(loaded)


def test_an_experiment_is_loaded_with_the_options_of_the_command_line() -> None:
    experiment = harness.load(
        "cifar10",
        trials=7,
        epochs=3,
        dataset=Path("pets"),
        timeout=60,
        set={"space.depth": [2, 3], "space.l2": {"type": "float", "low": 1e-06, "high": 1e-3, "log": True}},
    )
    assert experiment.search.trials == 7
    assert experiment.training.epochs == 3
    assert experiment.dataset.source == "pets"
    assert experiment.budget.timeout == 60
    assert isinstance(experiment, harness.Experiment)
    assert experiment.config.space["depth"] == [2, 3]
    assert harness.load("cifar10", timeout="none", set={"search.timeout": 5}).budget.timeout is None


def test_options_and_the_command_lines_have_the_same_names() -> None:
    import inspect

    from harness.cli.sweep import sweep as command
    from harness.experiment.overrides import OPTIONS

    of_load = set(inspect.signature(harness.load).parameters)
    of_command = set(inspect.signature(command).parameters)
    assert OPTIONS.keys() <= of_load
    assert of_load - {"set"} <= of_command
    assert {"workers", "recheck"} <= of_command & set(inspect.signature(harness.sweep).parameters)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"set": {"space.depht": 3}}, "depht"),
        ({"set": {"space.depth": {1, 2}}}, "which an experiment file cannot hold"),
        ({"set": {"space.dropout": float("nan")}}, "which an experiment file cannot hold"),
        ({"trials": 0}, "search.trials"),
        ({"experiment": "cifar1"}, "Did you mean cifar10?"),
    ],
)
def test_mistakes_are_sentences(given: dict[str, object], said: str) -> None:
    with pytest.raises(HarnessError, match=re.escape(said)):
        harness.load(**given)  # type: ignore[arg-type]


def test_what_whoever_searches_should_know_goes_to_the_logger(caplog: pytest.LogCaptureFixture) -> None:
    """A range that is narrowed on purpose is no reason for a warning."""
    caplog.set_level(logging.INFO, logger="harness")
    harness.load("cifar10", set={"space.width": [64]})
    (record,) = caplog.records
    assert record.getMessage().startswith("start_with: 4 of the 4 configurations")


def test_advice_about_a_file_is_a_warning() -> None:
    Path("old.yaml").write_text("name: old\nlimits: {parameters: 9}\nspace: {depth: 1}\n")
    with pytest.warns(UserWarning, match="limits is now called constraints"):
        experiment = harness.load("old.yaml")
    assert experiment.constraints == {"parameters": 9}


def test_a_study_that_is_not_there() -> None:
    with pytest.raises(harness.HarnessError, match="There is no study"):
        harness.open_study("night")
