"""An experiment-tracking sweep harness for Keras image classifiers.

    import harness

    experiment = harness.load("cifar10", trials=50, set={"space.depth": [2, 3]})
    study = harness.sweep(experiment, name="night")
    study.leaderboard()                    # a pandas.DataFrame
    model = study.best.load()              # a keras.Model
    study.best.export("exports/night")

Everything public is in `__all__`. Importing this package loads nothing heavy and changes no setting of the
process: what a name needs is imported when it is used first.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.errors import HarnessError as HarnessError
    from harness.experiment.experiment import Experiment as Experiment
    from harness.library.ensembles import EnsembleResult as EnsembleResult
    from harness.library.experiments import load as load
    from harness.library.studies import Study as Study
    from harness.library.studies import open_study as open_study
    from harness.library.sweeps import sweep as sweep
    from harness.library.trials import TrialResult as TrialResult

__version__ = "0.8.0"
__all__ = [  # noqa: RUF022 - in the order in which they are met
    "load",
    "sweep",
    "open_study",
    "Experiment",
    "Study",
    "TrialResult",
    "EnsembleResult",
    "HarnessError",
    "__version__",
]

_MODULES = {
    "load": "harness.library.experiments",
    "sweep": "harness.library.sweeps",
    "open_study": "harness.library.studies",
    "Experiment": "harness.experiment.experiment",
    "Study": "harness.library.studies",
    "TrialResult": "harness.library.trials",
    "EnsembleResult": "harness.library.ensembles",
    "HarnessError": "harness.errors",
}
"""Where the public names are defined."""


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
