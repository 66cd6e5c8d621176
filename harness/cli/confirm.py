"""`harness confirm`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import (
    EngineOption,
    EnsembleOption,
    JsonOption,
    RayAddressOption,
    RecheckOption,
    StorageOption,
    StudyArgument,
    TimeoutOption,
    WorkersOption,
    number_of_workers,
    use_storage,
)

if TYPE_CHECKING:
    from harness.confirmation.planning import PlannedConfirmation
    from harness.engine.kind import EngineChoice
    from harness.study.state import StudyState


def confirm(
    study: StudyArgument = None,
    trial: Annotated[
        int | None, typer.Argument(help="With --as-is: the trial's number; by default the best one's.", min=0)
    ] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Evaluate the model that the trial has; nothing is trained.")
    ] = False,
    ensemble: EnsembleOption = False,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            "-k",
            min=1,
            help="How many configurations; by default those that the validation images cannot tell from the "
            "best, at most 5.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=2, help="How often each of them is trained.  \\[default: 5]"),
    ] = None,
    timeout: TimeoutOption = None,
    workers: WorkersOption = None,
    engine: EngineOption = "local",
    ray_address: RayAddressOption = None,
    recheck: RecheckOption = False,
    json_: JsonOption = False,
    storage: StorageOption = None,
) -> None:
    """Train the best configurations anew on fresh seeds, say which is the best or tied, and test the chosen
    one.

    It is a study of its own, STUDY.confirm: the same command goes on with it, and shows what it has found.
    The sealed test set is opened once, when all else is decided. With --as-is nothing is trained: the model
    that the trial, or the ensemble, has is evaluated. Every model of a study that is evaluated on the test
    images counts as an opening, and the count is shown wherever a test score is; to show again what was found
    counts for nothing."""
    from harness.errors import UsageError
    from harness.sweeping.engines import ON_THIS_MACHINE, engine_choice

    use_storage(storage)
    chosen = engine_choice(engine, ray_address)
    training = {
        "--top": top is not None,
        "--seeds": seeds is not None,
        "--timeout": timeout is not None,
        "--workers": workers is not None,
        "--engine": chosen != ON_THIS_MACHINE,
        "--recheck": recheck,
    }
    given = [option for option, is_given in training.items() if is_given]
    if as_is:
        if given:
            raise UsageError(f"--as-is trains nothing, so that {', '.join(given)} has no meaning beside it.")
        if ensemble and trial is not None:
            raise UsageError(f"Trial {trial} and --ensemble name two models; name one.")
        _evaluate(study, trial, ensemble=ensemble, as_json=json_)
        return
    if ensemble:
        raise UsageError(
            "An ensemble is evaluated as it is, not trained anew: harness confirm STUDY --ensemble --as-is"
        )
    if trial is not None:
        raise UsageError(
            f"Without --as-is no trial is named: configurations are chosen by --top. To evaluate the model "
            f"that trial {trial} has, add --as-is."
        )
    _confirm(study, top, seeds, timeout, workers, chosen, recheck=recheck, as_json=json_)


def _confirm(
    study: str | None,
    top: int | None,
    seeds: int | None,
    timeout: float | str | None,
    workers: str | None,
    chosen: EngineChoice,
    *,
    recheck: bool,
    as_json: bool,
) -> None:
    """Train what is missing, and once nothing is, open the test set for the chosen configuration."""
    from dataclasses import asdict

    from harness.cli.sweeping import run_and_report, say
    from harness.cli.tables import print_findings, print_json
    from harness.confirmation.planning import confirmed_study, plan_confirmation
    from harness.confirmation.results import findings
    from harness.confirmation.tested import tested
    from harness.errors import UnreachableError
    from harness.experiment.overrides import NO_LIMIT
    from harness.sweeping.engines import foreseen_workers

    limit = {} if timeout is None else {"timeout": None if timeout == NO_LIMIT else float(timeout)}
    planned = plan_confirmation(confirmed_study(study), top, seeds, limit)
    if planned.is_complete:
        assert planned.begun is not None
        state = planned.begun
    else:
        wanted = number_of_workers(workers)
        _foretell(planned, foreseen_workers(planned.experiment, wanted, chosen))
        result = run_and_report(
            planned.experiment, study=planned.name, workers=wanted, recheck=recheck, chosen=chosen
        )
        state = result.state
    found = findings(state)
    behind: tuple[str, ...] = ()
    if found.champion is not None:
        if state.started.dataset.counts.get("test"):
            state, behind = _open(state, found.champion)
        else:
            say(f"The data set has no test {state.started.dataset.noun}s, so there is no test score.")
    score = None if found.champion is None else tested(state, found.champion, planned.study)
    if as_json:
        print_json(
            {
                "confirmation": planned.name,
                **asdict(found),
                "test": None if score is None else asdict(score),
                "test_openings": len(state.test_openings),
            }
        )
    else:
        print_findings(found, score, state.started.dataset.noun)
    if behind:
        raise UnreachableError(f"{' '.join(behind)} Finish it with: harness sync {planned.name}")


def _foretell(planned: PlannedConfirmation, workers: int) -> None:
    """Say which configurations are trained, and what it will take."""
    from harness.cli.sweeping import say
    from harness.cli.tables.lines import duration

    for sentence in planned.sentences():
        say(sentence)
    ahead = planned.forecast(workers)
    how = "one after the other" if ahead.workers == 1 else f"on {ahead.workers} workers"
    say(
        f"forecast: {ahead.trainings} full trainings take about {duration(ahead.seconds)} {how}, as they did "
        f"in the sweep, which took {duration(ahead.sweep_seconds)}; fewer if some are clearly behind"
    )


def _open(state: StudyState, trial: int) -> tuple[StudyState, tuple[str, ...]]:
    """Open the test set for the champion, unless that was done.

    Returns:
        The confirmation with what was found, and sentences about trackers that are behind.
    """
    from harness.cli.sweeping import say
    from harness.confirmation.opening import open_test_set
    from harness.paths import StudyPaths

    known = state.openings.get(trial)
    if known is not None and known.evaluation is not None:
        return state, ()
    say(f"evaluating trial {trial} of {_on_test(state)} …")
    opened = open_test_set(StudyPaths.of(state.name), trial, how="confirmed", note=say)
    return opened.state, opened.behind


def _on_test(state: StudyState) -> str:
    dataset = state.started.dataset
    return f"{state.name} on {dataset.counts['test']:,} test {dataset.noun}s"


def _evaluate(study: str | None, trial: int | None, *, ensemble: bool, as_json: bool) -> None:
    """Open the test set for the model that a trial, or the study's ensemble, has."""
    from dataclasses import asdict

    from harness.cli.sweeping import say
    from harness.cli.tables import print_evaluation, print_json
    from harness.confirmation.opening import open_test_set
    from harness.errors import UnreachableError
    from harness.study.opening import open_study
    from harness.study.openings import openings_in_words

    paths, state = open_study(study)
    say(f"evaluating {_on_test(state)} …")
    opened = open_test_set(paths, trial, ensemble=ensemble, note=say)
    say(f"{opened.model.name} of {paths.folder.name}")
    if as_json:
        print_json(
            {
                "study": paths.folder.name,
                "trial": opened.model.trial,
                "ensemble": opened.model.ensemble,
                "test_openings": len(opened.state.test_openings),
                "test": asdict(opened.evaluation),
            }
        )
    else:
        print_evaluation(opened.evaluation, openings_in_words(opened.state))
    if opened.behind:
        raise UnreachableError(f"{' '.join(opened.behind)} Finish it with: harness sync {paths.folder.name}")
