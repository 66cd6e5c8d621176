"""What TensorFlow Serving tells of a model, told of the same model here."""

from __future__ import annotations

from typing import Any

from harness.serving.server.rest import FROM_FILES, FROM_PIXELS, IMAGE, IMAGE_BYTES, signatures_for

VERSION = "1"
"""TensorFlow Serving numbers the versions of a model; a bundle has one."""


def status() -> dict[str, Any]:
    """The state of the model's one version, which is there whenever somebody can ask."""
    return {
        "model_version_status": [
            {
                "version": VERSION,
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }


def metadata(
    name: str, example_shape: tuple[int, ...], classes: tuple[str, ...], described: dict[str, Any]
) -> dict[str, Any]:
    """The signatures of the model, and beside them what TensorFlow Serving does not know.

    Args:
        name: the model's, in URLs.
        example_shape: height, width, channels of an image; of a clip, before them the frames.
        classes: K names in the order of the outputs.
        described: what the bundle says of its input.
    """
    outputs = {
        "probabilities": _tensor("DT_FLOAT", (-1, len(classes))),
        "class_index": _tensor("DT_INT32", (-1,)),
        "class": _tensor("DT_STRING", (-1,)),
    }
    files = {IMAGE_BYTES: _tensor("DT_STRING", (-1,))}
    inputs = {
        one: files if one == FROM_FILES else {IMAGE: _tensor(FROM_PIXELS[one], (-1, *example_shape))}
        for one in signatures_for(example_shape)
    }
    signatures = {
        signature: {"inputs": takes, "outputs": outputs, "method_name": "tensorflow/serving/predict"}
        for signature, takes in inputs.items()
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": VERSION},
        "metadata": {"signature_def": {"signature_def": signatures}},
        "bundle": {"classes": classes, "input": described},
    }


def _tensor(dtype: str, shape: tuple[int, ...]) -> dict[str, Any]:
    sizes = [{"size": str(size), "name": ""} for size in shape]
    return {"dtype": dtype, "tensor_shape": {"dim": sizes, "unknown_rank": False}, "name": ""}
