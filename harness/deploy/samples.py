"""A request to TensorFlow Serving with a few images, and what is answered: to try a deployment with."""

from __future__ import annotations

import json
from typing import Any

from harness.deploy.parity import Images, Probabilities

MOST = 3
MOST_NUMBERS = 60_000
"""Pixels times channels of all images together, so that the file stays small; one image is always there."""
DIGITS = 6
"""Behind the point, of probabilities."""


def sample(images: Images, probabilities: Probabilities, classes: tuple[str, ...]) -> tuple[str, str]:
    """The texts of `sample_input.json` and `expected_output.json`, in TensorFlow Serving's REST form.

    Args:
        images: raw pixels, uint8 (n, H, W, C), of which the first few are taken.
        probabilities: what the model predicts for them, float32 (n, K).
        classes: names in the order of the outputs, K.
    """
    some = max(1, min(MOST, MOST_NUMBERS // images[0].size))
    request = {"signature_name": "serving_default", "instances": images[:some].tolist()}
    answers: list[dict[str, Any]] = [
        {
            "probabilities": [round(float(value), DIGITS) for value in row],
            "class_index": int(row.argmax()),
            "class": classes[int(row.argmax())],
        }
        for row in probabilities[:some]
    ]
    return (
        json.dumps(request, separators=(",", ":")) + "\n",
        json.dumps({"predictions": answers}, indent=1, ensure_ascii=False) + "\n",
    )
