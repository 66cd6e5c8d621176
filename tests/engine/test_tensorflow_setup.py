"""A process that trains imports TensorFlow, and nothing that training has no use for."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
from harness.engine.tensorflow_setup import prepare_tensorflow
prepare_tensorflow(1)
assert {"keras", "tensorflow"} <= set(sys.modules)
print(sorted({"IPython", "matplotlib", "pandas", "sklearn"} & set(sys.modules)))
import IPython, matplotlib, pandas, sklearn.linear_model
print(pandas.DataFrame({"a": [1, 2]}).a.sum(), sklearn.linear_model.LogisticRegression().C)
"""


def test_what_training_does_not_use_is_not_loaded_but_can_be() -> None:
    """A plug-in may use it."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n3 1.0\n"
