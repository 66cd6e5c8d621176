"""The catalog of hyper-parameters that the built-in families know: the one place that defines them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.errors import ExperimentError
from harness.messages import nearest
from harness.model.families import FAMILIES
from harness.model.parameter import Parameter
from harness.records import Params

PLUGIN = "plugin"


@dataclass(frozen=True, slots=True)
class LearningRates:
    """A sensible range to search, on a log scale, and a default."""

    low: float
    high: float
    default: float


LEARNING_RATES: dict[str, LearningRates] = {
    "sgd": LearningRates(1e-2, 0.5, 0.1),
    "momentum": LearningRates(2e-3, 0.1, 0.02),
    "nesterov": LearningRates(2e-3, 0.1, 0.02),
    "adagrad": LearningRates(5e-3, 0.2, 0.03),
    "rmsprop": LearningRates(1e-4, 5e-3, 1e-3),
    "adam": LearningRates(3e-4, 1e-2, 2e-3),
    "adamw": LearningRates(3e-4, 1e-2, 2e-3),
    "lion": LearningRates(3e-5, 2e-3, 3e-4),
}
"""By optimizer. Plain SGD needs a rate about ten times that with momentum 0.9."""
OPTIMIZERS = tuple(LEARNING_RATES)
"""Values of the parameter `optimizer`; `harness.model.optimizers` makes them."""

ADAMW_DECAY = 4e-3
"""AdamW without weight decay would be Adam; this is Keras's own default for it."""

AUGMENTATIONS = (
    "none", "flip", "shift", "flip_shift", "rotate", "zoom", "cutout", "colour", "strong", "trivial",
)  # fmt: skip
"""Values of the parameter `augmentation`; `harness.model.augmentation` does them."""

_SHARED = (
    # Preprocessing, inside the saved model
    Parameter(
        "scaling",
        "choice",
        "rescale",
        "rescale: to 0…1; standardise: by mean and deviation of the training images.",
        choices=("rescale", "standardise"),
    ),
    Parameter("denoise", "choice", "none", "A 3×3 filter.", choices=("none", "median", "gaussian")),
    # Regularisation
    Parameter(
        "l1", "float", 0.0, "L1 penalty on kernels.", 0, 1, enters="step", changes_graph_when_positive=True
    ),
    Parameter(
        "l2", "float", 0.0, "L2 penalty on kernels.", 0, 1, enters="step", changes_graph_when_positive=True
    ),
    Parameter(
        "weight_decay",
        "float",
        0.0,
        "Decoupled weight decay.",
        0,
        1,
        enters="step",
        changes_graph_when_positive=True,
    ),
    Parameter("label_smoothing", "float", 0.0, "Label smoothing.", 0, 0.5, enters="step"),
    Parameter(
        "patience",
        "int",
        0,
        "Early stopping: end after so many epochs without a lower validation loss; 0: never.",
        0,
        10_000,
        enters="loop",
    ),
    Parameter("train_fraction", "float", 1.0, "Share of the training images.", 0.01, 1, enters="loop"),
    # Augmentation
    Parameter("augmentation", "choice", "none", "How training images are varied.", choices=AUGMENTATIONS),
    Parameter("augmentation_strength", "float", 0.5, "0 changes nothing, 1 much.", 0, 1, enters="step"),
    Parameter(
        "mixing",
        "choice",
        "none",
        "Blend pairs of training images and their labels.",
        choices=("none", "mixup", "cutmix"),
    ),
    Parameter("mixing_strength", "float", 0.5, "Largest share of the other image.", 0, 1, enters="step"),
    # Class imbalance
    Parameter(
        "balance",
        "choice",
        "none",
        "What is done about rare classes.",
        choices=("none", "class_weights", "sampling", "focal"),
    ),
    Parameter("focal_gamma", "float", 2.0, "Focus on hard images, for focal.", 0, 5, enters="step"),
    # Optimization
    Parameter("optimizer", "choice", "adam", "The optimizer.", choices=OPTIMIZERS),
    Parameter("momentum", "float", 0.9, "Momentum, for momentum and nesterov.", 0, 0.999),
    Parameter("learning_rate", "float", 2e-3, "Peak learning rate.", 1e-7, 10, enters="loop"),
    Parameter(
        "schedule",
        "choice",
        "constant",
        "How the learning rate changes over the epochs; cycle_per_rung: a rise and a fall up to each rung.",
        choices=("constant", "step", "cosine", "one_cycle", "cycle_per_rung"),
        enters="loop",
    ),
    Parameter(
        "warmup",
        "float",
        0.0,
        "Share of all steps, or of each cycle, with a rising rate; one_cycle, cycle_per_rung: 0 means 0.3.",
        0,
        0.5,
        enters="loop",
    ),
    Parameter(
        "clip_norm",
        "float",
        0.0,
        "Largest norm of the gradient; 0: any.",
        0,
        1000,
        enters="step",
        changes_graph_when_positive=True,
    ),
    Parameter(
        "ema",
        "float",
        0.0,
        "Decay of the averaged weights; 0: none.",
        0,
        0.9999,
        enters="step",
        changes_graph_when_positive=True,
    ),
    Parameter("batch_size", "int", 64, "Images in a step.", 1, 8192),
)
"""Parameters that several families have without saying so: all of them, or all that are trained on pixels."""
SCALING = ("scaling", "denoise")
"""Those that add layers which prepare pixels for a network; a body does that by itself."""
WHEN_UNFROZEN = ("unfreeze_rate", "augmentation", "augmentation_strength", "mixing", "mixing_strength")
"""Those that have an effect on a network with a body only where it is trained: features that were computed
before stay as they are."""


def _of_families() -> dict[str, Parameter]:
    """The families' own parameters; one that several share says what it is in each of them."""
    by_name: dict[str, dict[str, Parameter]] = {}
    for family, described in FAMILIES.items():
        for parameter in described.parameters:
            by_name.setdefault(parameter.name, {})[family] = parameter
    found = {}
    for name, own in by_name.items():
        first = next(iter(own.values()))
        for family, parameter in own.items():
            assert replace(parameter, about=first.about) == first, f"{family} differs on {name}"
        found[name] = replace(first, about=_about(own), families=tuple(own))
    return found


def _families_with(name: str) -> tuple[str, ...]:
    """The families that a shared parameter has an effect on."""
    return tuple(
        family for family, described in FAMILIES.items() if described.body is None or name not in SCALING
    )


def _about(by_family: dict[str, Parameter]) -> str:
    """What a parameter is, with the names of the families where they differ."""
    families: dict[str, list[str]] = {}
    for family, parameter in by_family.items():
        families.setdefault(parameter.about, []).append(family)
    if len(families) == 1:
        return next(iter(families))
    return "; ".join(f"{', '.join(names)}: {about}" for about, names in families.items()) + "."


CATALOG: dict[str, Parameter] = {
    "family": Parameter(
        "family", "choice", "cnn", "The kind of network.", choices=tuple(FAMILIES), families=tuple(FAMILIES)
    ),
    **_of_families(),
    **{parameter.name: replace(parameter, families=_families_with(parameter.name)) for parameter in _SHARED},
}
"""By name."""

DEFAULTS_BY = {"learning_rate": "by optimizer", "schedule": "by scheduler"}
"""In words, the defaults of parameters that depend on something else; the catalog has a usual one."""

_OF_ANY_NETWORK = {parameter.name for parameter in _SHARED} | {"family", "dropout"}
"""Parameters that mean the same with a plug-in: harness itself deals with them."""


def known_parameter(name: str, model: str | None) -> Parameter | None:
    """What the catalog says of a parameter.

    Args:
        name: of the parameter.
        model: a plug-in, in place of the families.

    Returns:
        None if there is no such parameter; with a plug-in, also where it only says something of families'
        layers: a plug-in's parameter of that name is its own.
    """
    return CATALOG.get(name) if model is None or name in _OF_ANY_NETWORK else None


FAMILIES_WITH_BODY = tuple(name for name, family in FAMILIES.items() if family.body is not None)
"""Those whose networks begin with a part that was trained elsewhere."""
SIZES = ({"family", "batch_size"} | _of_families().keys()) - {"dropout", "unfreeze_rate"}
"""Parameters that decide how large a network or a step is."""


def complete(params: Params, model: str | None = None) -> Params:
    """All parameters, with defaults for those not given.

    Args:
        params: some parameters by name.
        model: a plug-in, `package.module:function`: it takes the place of the families, and whatever is not
            known of all networks is its own. Families' parameters that it does not name have their defaults.

    Raises:
        ExperimentError: a name is unknown or a value is not allowed; all problems are named.
    """
    problems = []
    known = {name: known_parameter(name, model) for name in params}
    own = {name: value for name, value in params.items() if known[name] is None} if model else {}
    for name, parameter in known.items():
        if parameter is None and name not in own:
            problems.append(f"{name}: there is no such parameter{nearest(name, CATALOG)}")
        elif parameter is not None and (problem := parameter.problem_with(params[name])):
            problems.append(f"{name}: {problem}")
    if problems:
        raise ExperimentError("\n".join(problems))
    given = params.keys() - own.keys()
    full = {name: params[name] if name in given else one.default for name, one in CATALOG.items()}
    if "learning_rate" not in params:
        full["learning_rate"] = LEARNING_RATES[str(full["optimizer"])].default
    if "weight_decay" not in params and full["optimizer"] == "adamw":
        full["weight_decay"] = ADAMW_DECAY
    # A float parameter given as 1 is the same configuration as 1.0.
    found = {name: float(value) if CATALOG[name].kind == "float" else value for name, value in full.items()}
    return found | {"family": PLUGIN, "model": model, **own} if model else found


def multiply_adds(params: Params, image_shape: tuple[int, ...]) -> float | None:
    """Roughly what one image or clip costs on its way through a network, by its largest layers.

    Args:
        params: a complete configuration.
        image_shape: height, width, channels; of clips, before them the frames.

    Returns:
        None if nobody knows: of a plug-in, and of a family without an estimate.
    """
    family = FAMILIES.get(str(params["family"]))
    return family.work(params, image_shape) if family is not None else None


ONLY_WITH: dict[str, tuple[str, tuple[str, ...]]] = {
    "momentum": ("optimizer", ("momentum", "nesterov")),
    "augmentation_strength": ("augmentation", tuple(name for name in AUGMENTATIONS if name != "none")),
    "mixing_strength": ("mixing", ("mixup", "cutmix")),
    "focal_gamma": ("balance", ("focal",)),
}
"""Parameters that have an effect only beside certain values of another."""


def applies(name: str, params: Params) -> bool:
    """Whether a parameter has any effect on a complete configuration."""
    parameter = CATALOG.get(name)
    if parameter is None or params["family"] == PLUGIN:
        return True
    if params["family"] not in parameter.families:
        return False
    if name in WHEN_UNFROZEN and params["family"] in FAMILIES_WITH_BODY and not unfreezes(params):
        return False
    other = ONLY_WITH.get(name)
    return other is None or params[other[0]] in other[1]


def unfreezes(params: Params) -> bool:
    """Whether a configuration trains a part of its body at any time."""
    return params.get("family") in FAMILIES_WITH_BODY and int(params.get("unfreeze", 0)) > 0


def in_epoch(params: Params, epoch: int, unfreeze_at: int | None) -> Params:
    """The parameters that hold in an epoch: until the body is unfrozen, `unfreeze` is 0.

    Args:
        params: a configuration.
        epoch: 1-based.
        unfreeze_at: the last epoch before the body is unfrozen; None: it never is.
    """
    if unfreezes(params) and (unfreeze_at is None or epoch <= unfreeze_at):
        return params | {"unfreeze": 0}
    return params
