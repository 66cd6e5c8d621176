"""A family that averages stripes of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.families.family import Family
from harness.model.parameter import Parameter
from harness.records import Params

if TYPE_CHECKING:
    import keras


def features(x: keras.KerasTensor, params: Params) -> keras.KerasTensor:
    """One average for each stripe."""
    import keras

    height = x.shape[1] // int(params["stripes"])
    x = keras.layers.AveragePooling2D((height, 1), name="stripes")(x)
    return keras.layers.Flatten(name="flatten")(x)


FAMILY = Family(
    about="Averages of horizontal stripes.",
    parameters=(Parameter("stripes", "int", 2, "Stripes of the image.", 1, 8),),
    features=features,
)
