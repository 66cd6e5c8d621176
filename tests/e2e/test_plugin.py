"""A network of one's own: it works, or one clear message says what is wrong before 50 trials fail."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXPERIMENT = """
name: own
model: own_network:build
training: {epochs: 2, precision: float32}
dataset: {limit_train: 200}
space:
  filters: {type: int, low: 4, high: 8}
"""
START = (
    "import keras\n\ndef build(params, image_shape, num_classes):\n    inputs = keras.Input(image_shape)\n"
)
BODY = "    x = keras.layers.Flatten()(inputs)\n"
WRONG = {
    "missing": (None, "there is no module 'own_network'"),
    "function": ("def other(): ...\n", "has no function 'build'"),
    "syntax": ("def build(:\n", "own_network.py"),
    "exception": (START + "    return 1 / 0\n", "own_network.py:5: ZeroDivisionError"),
    "no model": (START + "    return 'a model'\n", "returned a str, not a keras.Model"),
    "shape": (
        START + BODY + "    return keras.Model(inputs, keras.layers.Dense(3)(x))\n",
        "it must be (10,)",
    ),
    "input": (
        "import keras\n\ndef build(params, image_shape, num_classes):\n"
        "    inputs = keras.Input((5,))\n"
        "    return keras.Model(inputs, keras.layers.Dense(num_classes)(inputs))\n",
        "takes inputs of shape (5,)",
    ),
    "softmax": (
        START + BODY + "    return keras.Model(inputs, keras.layers.Dense(num_classes, 'softmax')(x))\n",
        "it must return logits",
    ),
}


def harness(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_network_stops_the_sweep_at_once_with_one_message(kind: str) -> None:
    code, message = WRONG[kind]
    Path("own.yaml").write_text(EXPERIMENT)
    if code is not None:
        Path("own_network.py").write_text(code)
    done = harness("sweep", "own.yaml", "--trials", "50", "--study", "own", "--workers", "1")
    assert done.returncode == 3, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    states = json.loads(harness("status", "own", "--json").stdout)["states"]
    assert sum(states.values()) == 1


def test_a_network_may_have_parameters_that_families_have_too() -> None:
    own = "  unfreeze_rate: [slow]\n  views: {type: float, low: 0.5, high: 0.9}\n  stem: 2\n"
    Path("own.yaml").write_text(EXPERIMENT + own)
    Path("own_network.py").write_text(
        f"{START}    assert params['unfreeze_rate'] == 'slow' and 0.5 <= params['views'] <= 0.9\n{BODY}"
        "    x = keras.layers.Dense(params['stem'])(x)\n"
        "    return keras.Model(inputs, keras.layers.Dense(num_classes)(x))\n"
    )
    done = harness("sweep", "own.yaml", "--trials", "1", "--study", "own", "--workers", "1")
    assert done.returncode == 0, done.stderr
    (trial,) = json.loads(harness("leaderboard", "own", "--json").stdout)
    assert trial["state"] == "complete"


def test_the_example_is_searched_tracked_and_exported() -> None:
    root = Path(__file__).parent.parent.parent
    shutil.copytree(root / "experiments", "experiments")
    done = harness("sweep", "plugin", "--trials", "3", "--epochs", "2", "--study", "own")
    assert done.returncode == 0, done.stderr
    shown = json.loads(harness("show", "0", "--study", "own", "--json").stdout)
    assert {"filters", "squeeze"} <= set(shown["sampled"])
    assert shown["params"]["model"] == "experiments.my_network:build"
    done = harness("export", "--out", "bundle", "--formats", "saved_model")
    assert done.returncode == 0, done.stderr
    script = "import keras; print(keras.saving.load_model('bundle/model.keras').output_shape)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "(None, 10)"
