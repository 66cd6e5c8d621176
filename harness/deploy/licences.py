"""Under which licences what a model was made of is, as far as that is known."""

from __future__ import annotations

from harness.model.backbones import BACKBONES
from harness.model.families import FAMILIES
from harness.records import Params

UNKNOWN = "unknown"
DATA = {
    "digits": "CC-BY-4.0",
    "mnist": "CC-BY-SA-3.0",
    "fashion_mnist": "MIT",
}
"""Of data sets that are known by name, where their makers state one."""


def licences(source: str, params: Params) -> dict[str, str]:
    """The licences of the data and, where there is one, of the backbone.

    Args:
        source: the data set, as the experiment names it.
        params: of the trial.
    """
    found = {"data": DATA.get(source, UNKNOWN)}
    family = FAMILIES.get(str(params.get("family")))  # None: a network of the user's own
    if family is not None and family.body is not None:
        known = BACKBONES.get(str(params["backbone"]))
        found["backbone"] = known.licence if known else UNKNOWN
    return found
