"""The catalog of hyper-parameters that the built-in families know: the one place that defines them."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import Literal

from harness.errors import ExperimentError
from harness.records import Params, Scalar

Kind = Literal["int", "float", "bool", "choice", "any"]
SHOWN = 100
"""Characters of a wrong value that are repeated to the user."""
FAMILIES = ("cnn", "resnet", "rnn", "baseline")
PLUGIN = "plugin"
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "lion")


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

ADAMW_DECAY = 4e-3
"""AdamW without weight decay would be Adam; this is Keras's own default for it."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One hyper-parameter."""

    name: str
    kind: Kind
    default: Scalar
    about: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[Scalar, ...] = ()
    families: tuple[str, ...] = FAMILIES
    """The families it has an effect on."""
    number_only: bool = False
    """A changed value needs no recompilation."""

    def problem_with(self, value: Scalar) -> str | None:  # noqa: PLR0911 - one answer for each kind
        """Why `value` is not allowed, or None."""
        if not isinstance(value, (bool, int, float, str)):  # a date, for example
            return f"{shown(value)} is not a number, a word, or true or false"
        if self.kind == "any":
            return (
                None if not isinstance(value, float) or math.isfinite(value) else f"{value!r} is not finite"
            )
        if self.kind == "bool":
            return None if isinstance(value, bool) else f"{shown(value)} is not true or false"
        if self.kind == "choice":
            if value in self.choices and not isinstance(value, bool):
                return None
            near = nearest(str(value), [str(choice) for choice in self.choices])
            return f"{shown(value)} is not one of {', '.join(map(str, self.choices))}{near}"
        if isinstance(value, (bool, str)) or (self.kind == "int" and not isinstance(value, int)):
            return f"{shown(value)} is not {'a whole number' if self.kind == 'int' else 'a number'}"
        if not self.low <= value <= self.high:
            return f"{shown(value)} is not between {self.low:g} and {self.high:g}"
        if self.name == "kernel_size" and value % 2 == 0:
            return f"{value!r} is not odd"
        return None


_CNN = ("cnn",)
_DEEP = ("cnn", "resnet", "rnn")
AUGMENTATIONS = (
    "none", "flip", "shift", "flip_shift", "rotate", "zoom", "cutout", "colour", "strong", "trivial",
)  # fmt: skip

CATALOG: dict[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        # Architecture
        Parameter("family", "choice", "cnn", "The kind of network.", choices=FAMILIES),
        Parameter(
            "depth",
            "int",
            3,
            "cnn: convolution blocks; resnet: residual blocks in a stage; rnn: layers.",
            1,
            6,
            families=_DEEP,
        ),
        Parameter(
            "width", "int", 32, "Filters of the first block; units of an rnn layer.", 4, 512, families=_DEEP
        ),
        Parameter("convs", "int", 1, "Convolutions in a block; 2 is VGG's way.", 1, 4, families=_CNN),
        Parameter("kernel_size", "int", 3, "Side of the kernels, odd.", 1, 11, families=_CNN),
        Parameter("batch_norm", "bool", True, "Batch normalisation after each convolution.", families=_CNN),
        Parameter(
            "head",
            "choice",
            "global",
            "What turns the last feature map into a vector.",
            choices=("flatten", "global"),
            families=_CNN,
        ),
        Parameter("stages", "int", 3, "Stages, each at half the size.", 1, 5, families=("resnet",)),
        Parameter("cell", "choice", "gru", "The recurrent cell.", choices=("gru", "lstm"), families=("rnn",)),
        Parameter("bidirectional", "bool", True, "Read rows downwards and upwards.", families=("rnn",)),
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
            "dropout",
            "float",
            0.1,
            "Dropout rate after each block.",
            0,
            0.9,
            families=_DEEP,
            number_only=True,
        ),
        Parameter("l1", "float", 0.0, "L1 penalty on kernels.", 0, 1, number_only=True),
        Parameter("l2", "float", 0.0, "L2 penalty on kernels.", 0, 1, number_only=True),
        Parameter("weight_decay", "float", 0.0, "Decoupled weight decay.", 0, 1, number_only=True),
        Parameter("label_smoothing", "float", 0.0, "Label smoothing.", 0, 0.5, number_only=True),
        Parameter(
            "patience",
            "int",
            0,
            "Early stopping: end after so many epochs without a lower validation loss; 0: never.",
            0,
            10_000,
            number_only=True,
        ),
        Parameter("train_fraction", "float", 1.0, "Share of the training images.", 0.01, 1, number_only=True),
        # Augmentation
        Parameter("augmentation", "choice", "none", "How training images are varied.", choices=AUGMENTATIONS),
        Parameter(
            "augmentation_strength", "float", 0.5, "0 changes nothing, 1 much.", 0, 1, number_only=True
        ),
        Parameter(
            "mixing",
            "choice",
            "none",
            "Blend pairs of training images and their labels.",
            choices=("none", "mixup", "cutmix"),
        ),
        Parameter(
            "mixing_strength", "float", 0.5, "Largest share of the other image.", 0, 1, number_only=True
        ),
        # Class imbalance
        Parameter(
            "balance",
            "choice",
            "none",
            "What is done about rare classes.",
            choices=("none", "class_weights", "sampling", "focal"),
        ),
        Parameter("focal_gamma", "float", 2.0, "Focus on hard images, for focal.", 0, 5, number_only=True),
        # Optimization
        Parameter("optimizer", "choice", "adam", "The optimizer.", choices=OPTIMIZERS),
        Parameter("momentum", "float", 0.9, "Momentum, for momentum and nesterov.", 0, 0.999),
        Parameter("learning_rate", "float", 2e-3, "Peak learning rate.", 1e-7, 10, number_only=True),
        Parameter(
            "schedule",
            "choice",
            "constant",
            "How the learning rate changes over the epochs.",
            choices=("constant", "step", "cosine", "one_cycle"),
            number_only=True,
        ),
        Parameter("warmup", "float", 0.0, "Share of all steps with a rising rate.", 0, 0.5, number_only=True),
        Parameter(
            "clip_norm", "float", 0.0, "Largest norm of the gradient; 0: any.", 0, 1000, number_only=True
        ),
        Parameter(
            "ema", "float", 0.0, "Decay of the averaged weights; 0: none.", 0, 0.9999, number_only=True
        ),
        Parameter("batch_size", "int", 64, "Images in a step.", 1, 8192),
    )
}
"""By name."""


def shown(value: object) -> str:
    """A value from outside as a message repeats it: on one line, and not for pages."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def nearest(word: str, known: list[str]) -> str:
    """`; did you mean …?`, or nothing when no known word is near."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def complete(params: Params, model: str | None = None) -> Params:
    """All parameters, with defaults for those not given.

    Args:
        params: some parameters by name.
        model: a plug-in, `package.module:function`: it takes the place of the families, and parameters
            that the catalog does not know are its own.

    Raises:
        ExperimentError: a name is unknown or a value is not allowed; all problems are named.
    """
    problems = []
    own = {name: value for name, value in params.items() if name not in CATALOG} if model else {}
    for name, value in params.items():
        if name in own:
            continue
        if name not in CATALOG:
            problems.append(f"{name}: there is no such parameter{nearest(name, list(CATALOG))}")
        elif problem := CATALOG[name].problem_with(value):
            problems.append(f"{name}: {problem}")
    if problems:
        raise ExperimentError("\n".join(problems))
    full = {name: params.get(name, parameter.default) for name, parameter in CATALOG.items()}
    if "learning_rate" not in params:
        full["learning_rate"] = LEARNING_RATES[str(full["optimizer"])].default
    if "weight_decay" not in params and full["optimizer"] == "adamw":
        full["weight_decay"] = ADAMW_DECAY
    # A float parameter given as 1 is the same configuration as 1.0.
    found = {name: float(value) if CATALOG[name].kind == "float" else value for name, value in full.items()}
    return found | {"family": PLUGIN, "model": model, **own} if model else found


_PRESENT = ("dropout", "l1", "l2", "weight_decay", "clip_norm", "ema")
_ONLY_WITH: dict[str, tuple[str, tuple[str, ...]]] = {
    "momentum": ("optimizer", ("momentum", "nesterov")),
    "augmentation_strength": ("augmentation", tuple(name for name in AUGMENTATIONS if name != "none")),
    "mixing_strength": ("mixing", ("mixup", "cutmix")),
    "focal_gamma": ("balance", ("focal",)),
}
"""Parameters that have an effect only beside certain values of another."""
_LOSS_BALANCE = "focal"


def applies(name: str, params: Params) -> bool:
    """Whether a parameter has any effect on a complete configuration."""
    parameter = CATALOG.get(name)
    if parameter is None or params["family"] == PLUGIN:
        return True
    if params["family"] not in parameter.families:
        return False
    other = _ONLY_WITH.get(name)
    return other is None or params[other[0]] in other[1]


def signature(params: Params) -> str:
    """What decides the compiled program: two complete configurations with equal signatures share one.

    Numbers enter a program as tensors; only whether some of them are there at all changes it.
    """
    parts = []
    for name, value in params.items():
        parameter = CATALOG.get(name)
        if parameter is None:
            parts.append(f"{name}={value}")  # a plug-in's own: it may do anything with it
        elif name == "balance":
            parts.append(f"focal={value == _LOSS_BALANCE}")
        elif not parameter.number_only and applies(name, params):
            parts.append(f"{name}={value}")
    parts += [name for name in _PRESENT if applies(name, params) and float(params[name]) > 0]
    return " ".join(sorted(parts))
