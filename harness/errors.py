"""Every error that harness raises on purpose.

    HarnessError              1   something failed; the message says what, where, and what to do
    ├── UsageError            2   the command line or an experiment file is wrong
    │   └── ExperimentError   2   … an experiment file, with the key path
    ├── DataError             1   a data set is missing, broken or unusable
    ├── StudyError            1   a study does not exist, is in use, or its log is damaged
    ├── ExportError           1   a model could not be exported or did not match the trained one
    ├── ServingError          1   a bundle is damaged or cannot be used
    ├── PromotionError        1   a model could not be promoted, or was not shown to be better
    ├── PretrainedError       1   a backbone is unknown, or its weights are missing or wrong
    ├── EngineError           1   workers could not be started or kept alive
    ├── StoreError            1   a tracking store or storage cannot work as it is set up
    ├── SweepFailedError      3   the sweep ended without one successful trial
    └── UnreachableError      4   a tracking store or storage is away, or cannot be written for now

A message is one or more sentences for people. The command line prints it without a traceback and
exits with the number above.
"""


class HarnessError(Exception):
    """Something failed in a way the user can understand and act on."""

    exit_code = 1


class UsageError(HarnessError):
    """The command line or an experiment file is wrong."""

    exit_code = 2


class ExperimentError(UsageError):
    """An experiment file, or an override of it, is wrong."""


class DataError(HarnessError):
    """A data set is missing, broken or unusable."""


class ClipsFoundError(DataError):
    """There are clips where images are looked for."""


class StudyError(HarnessError):
    """A study does not exist, is in use by another process, or its log is damaged."""


class ExportError(HarnessError):
    """A model could not be exported, or the export does not match the trained model."""


class ServingError(HarnessError):
    """A finished model is missing, was tampered with, or cannot be used."""


class PromotionError(HarnessError):
    """A model could not be promoted, or was not shown to be better than the champion."""


class PretrainedError(HarnessError):
    """A backbone is unknown, or its weights are missing or not the right ones."""


class EngineError(HarnessError):
    """Workers could not be started or kept alive."""


class StoreError(HarnessError):
    """A tracking store or storage cannot work as it is set up, however long one waits for it."""


class SweepFailedError(HarnessError):
    """The sweep ended without one successful trial."""

    exit_code = 3


class UnreachableError(HarnessError):
    """A tracking store or storage is away, or cannot be read or written for now."""

    exit_code = 4
