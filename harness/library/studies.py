"""Studies for notebooks and scripts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from harness.errors import HarnessError
from harness.library.ensembles import EnsembleResult
from harness.library.progress import LOGGER
from harness.library.trackers import warn_of_trackers
from harness.library.trials import TrialResult
from harness.paths import StudyPaths
from harness.study.choosing import choose_trial
from harness.study.opening import open_study as open_folder
from harness.study.state import StudyState

if TYPE_CHECKING:
    import threading

    import pandas as pd

    from harness.experiment.experiment import Experiment
    from harness.library.confirmations import Confirmation


@dataclass(frozen=True, slots=True, repr=False)
class Study:
    """A study as it was when it was opened; open it again to see what has happened since."""

    _paths: StudyPaths
    _state: StudyState = field(compare=False)

    @property
    def name(self) -> str:
        """The study's name."""
        return self._paths.folder.name

    @property
    def experiment(self) -> Experiment:
        """What is searched, with the overrides of the latest session."""
        return self._state.experiment

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the models' outputs."""
        return self._state.started.dataset.classes

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do; otherwise another `harness.sweep` with the name goes on."""
        return self._state.is_complete

    @property
    def test_openings(self) -> int:
        """How many of its models have been evaluated on the test images (see `TrialResult.test`)."""
        return len(self._state.test_openings)

    @property
    def trials(self) -> list[TrialResult]:
        """Every trial, in the order in which they were started."""
        return [TrialResult(number, self._paths, self._state) for number in self._state.trials]

    @property
    def best(self) -> TrialResult:
        """The complete trial with the best score.

        Raises:
            HarnessError: no trial is complete.
        """
        return TrialResult(choose_trial(self._state).number, self._paths, self._state)

    def ensemble(self, *, members: int | None = None, top: int | None = None) -> EnsembleResult:
        """Average the models of the best trials in one Keras model; nothing is trained.

        Trials are chosen one after the other, whichever improves the average most on the validation images,
        some more than once. Called once more with the same result, it returns what there is.

        Args:
            members: trials at most; None for 5.
            top: None; or average so many of the best trials in equal parts, without choosing.

        Returns:
            The ensemble: its `members` with their weights, its `score`, and its `gain` over the best trial.

        Raises:
            HarnessError: the study is running, its trials cannot be averaged, or no average is better than
                the best trial alone.
        """
        from harness.ensembling.ensemble import MEMBERS, make_ensemble

        made = make_ensemble(self._paths, members=members or MEMBERS, top=top, note=LOGGER.info)
        warn_of_trackers(made.behind, self._paths)
        return EnsembleResult(made.ensemble.number, self._paths, made.state)

    def leaderboard(self, top: int | None = None) -> pd.DataFrame:
        """Trials in rows, the best one first, with score, metrics, cost and the parameters that vary.

        `tied` says whether the validation images cannot tell a trial from the best one, and `images_needed`
        how many would; the two columns are there if the trials have left their predictions.

        Args:
            top: only the best so many; None for all.
        """
        from harness.analysis.findings import Noise
        from harness.analysis.noise import noise_of
        from harness.analysis.tables import leaderboard

        found = noise_of(self._paths.folder, self._state)
        return leaderboard(self._state, found if isinstance(found, Noise) else None, top=top)

    def confirm(
        self,
        *,
        top: int | None = None,
        seeds: int | None = None,
        timeout: float | Literal["none"] | None = None,
        workers: int | Literal["auto"] | None = None,
        engine: str = "local",
        ray_address: str | None = None,
        recheck: bool = False,
        stop: threading.Event | None = None,
    ) -> Confirmation:
        """Train the best configurations anew on fresh seeds, say which is the best or tied, and test it.

        It is a study of its own, `STUDY.confirm`. The same call goes on with it after whatever cut it off,
        and returns what it has found once it is whole. The sealed test set is opened once, for the model
        that stands for the chosen configuration, when all else is decided. To evaluate the model that a trial
        has as it is, call `TrialResult.test` instead. Threads, interrupts and `stop` are as of
        `harness.sweep`.

        Args:
            top: how many configurations; by default those that the validation images cannot tell from the
                best, at most 5. A confirmation goes on with as many as it began with.
            seeds: how often each of them is trained, by default 5; likewise.
            timeout: seconds of all its sessions together; "none" lifts the limit of the session before.
            workers: processes that train; "auto" to measure how many are best.
            engine: what runs them.
            ray_address: of the cluster.
            recheck: read all files of the data set again, instead of trusting their sizes and times.
            stop: set it from another thread to end it early.

        Returns:
            What it has found so far: `findings`, and once it is complete, the `champion` and its `test`.

        Raises:
            HarnessError: no trial is complete, the confirmation began with other figures, or no training was
                successful.
            KeyboardInterrupt: it was interrupted, and has come to rest.
        """
        from harness.library.confirmations import confirm
        from harness.sweeping.engines import engine_choice

        return confirm(
            self._state,
            top=top,
            seeds=seeds,
            timeout=timeout,
            workers=workers,
            chosen=engine_choice(engine, ray_address),
            recheck=recheck,
            stop=stop,
        )

    def __repr__(self) -> str:
        trials = len(self._state.trials)
        try:
            best = self.best
        except HarnessError:
            return f"<Study {self.name}: {trials} trials, none complete>"
        return f"<Study {self.name}: {trials} trials, best {best.score:.4f} (trial {best.number})>"


def open_study(name: str | None = None) -> Study:
    """Open a study in `HARNESS_HOME`, by default in the folder `.harness` of the working directory.

    Args:
        name: of the study; None for the one that was active last.

    Raises:
        HarnessError: there is no such study, it never began, or its event log is damaged.
    """
    return Study(*open_folder(name))
