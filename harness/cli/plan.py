"""`harness plan`."""

from __future__ import annotations

from harness.cli.options import (
    DatasetOption,
    EpochsOption,
    ExperimentArgument,
    JsonOption,
    SetOption,
    TrialsOption,
)


def plan(
    experiment: ExperimentArgument = "quickstart",
    trials: TrialsOption = None,
    dataset: DatasetOption = None,
    epochs: EpochsOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Check an experiment and print its space, size, rungs, and how its data is taken; nothing is trained.

    Where the data is prepared already, a worker process tells for a few seconds what configurations cost.
    """
    from dataclasses import asdict

    from harness.cli.sweeping import say
    from harness.cli.tables import print_json, print_plan
    from harness.data.known import known
    from harness.data.preview import preview
    from harness.experiment.describe import describe
    from harness.experiment.load import dump
    from harness.experiment.overrides import options
    from harness.proposal.chosen import chosen
    from harness.study.state import StudyState
    from harness.sweeping.checks import made_for_others
    from harness.sweeping.parts import make_scheduler
    from harness.sweeping.planning import planned
    from harness.sweeping.precision import foreseen
    from harness.sweeping.schedule import with_schedule

    given = options(dataset=dataset, epochs=epochs, trials=trials)
    wanted = chosen(experiment, [*(set_ or []), *given], tell=say)
    wanted = with_schedule(wanted, StudyState(), say)
    data, rungs = preview(wanted.dataset), make_scheduler(wanted).rungs
    rows, configurations = describe(wanted.space), wanted.space.size()
    precision = foreseen(wanted)
    prepared = known(wanted.dataset, wanted.seed)
    size = prepared.image_shape[:2] if prepared else data.size
    fits = made_for_others(wanted, *size) if size else None
    for sentence in (*wanted.advice, *wanted.search_advice, *([fits] if fits else [])):
        say(sentence)
    forecast = (
        planned(wanted, prepared)
        if prepared
        else "The data has not been prepared yet; the first sweep does that."
    )
    if json_:
        print_json(
            {
                "experiment": dump(wanted),
                "space": rows,
                "size": configurations,
                "rungs": rungs,
                "precision": precision,
                "data": {"found": data.found, "notes": data.notes},
                "forecast": {"unknown": forecast} if isinstance(forecast, str) else asdict(forecast),
            }
        )
        return
    print_plan(wanted, data.found, precision, rows, configurations, rungs, forecast)
    for note in data.notes:
        say(note)
