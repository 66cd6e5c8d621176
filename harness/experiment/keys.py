"""What decides a compiled program, a network and its untrained part: keys that equal ones have in common."""

from __future__ import annotations

from harness.experiment.parameters import CATALOG, PLUGIN, SCALING, applies, known_parameter
from harness.model.families import FAMILIES
from harness.records import Params

_LOSS_BALANCE = "focal"


def program_key(params: Params) -> str:
    """What decides the compiled program: two complete configurations with equal keys share one.

    Of numbers that enter as tensors or variables, only whether they are above 0 may change it.
    """
    parts = []
    model = str(params["model"]) if "model" in params else None
    for name, value in params.items():
        parameter = known_parameter(name, model)
        if parameter is None:
            parts.append(f"{name}={value}")  # a plug-in's own: it may do anything with it
        elif name == "balance":
            parts.append(f"focal={value == _LOSS_BALANCE}")
        elif parameter.enters == "graph" and applies(name, params):
            parts.append(f"{name}={value}")
    parts += [
        name
        for name, parameter in CATALOG.items()
        if parameter.changes_graph_when_positive and applies(name, params) and float(params[name]) > 0
    ]
    return " ".join(sorted(parts))


def network_key(params: Params) -> str:
    """What decides the network's layers: complete configurations with equal keys have equal ones.

    Of a plug-in, which may do anything with any parameter, it is the program's key.
    """
    if params["family"] == PLUGIN:
        return program_key(params)
    own = FAMILIES[str(params["family"])].parameters
    names = [parameter.name for parameter in own if parameter.enters == "graph"]
    shared = [name for name in SCALING if applies(name, params)]
    return " ".join(f"{name}={params[name]}" for name in ("family", *names, *shared))


def body_key(params: Params) -> str | None:
    """What decides the part of a network that is not trained; None if all of it is."""
    family = FAMILIES.get(str(params["family"]))
    if family is None or family.body is None:
        return None
    return " ".join(f"{name}={params[name]}" for name in family.body.parameters)
