"""`harness reproduce`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import EngineOption, JsonOption, OfStudyOption, RayAddressOption

if TYPE_CHECKING:
    from harness.records import EpochEnded


def reproduce(
    trial: Annotated[int, typer.Argument(help="The trial's number.", min=0)],
    study: OfStudyOption = None,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0,
            help="How far metrics (those above 1 by this share) and weights may be apart and still count as "
            "within tolerance.",
        ),
    ] = 1e-3,
    engine: EngineOption = "local",
    ray_address: RayAddressOption = None,
    json_: JsonOption = False,
) -> None:
    """Train a trial again from its record and compare every epoch and the weights; exit 1 if they differ.

    On a CPU, with the same versions and as many threads, the same comes of it to the last bit, however often
    the trial was paused, moved to another worker, killed and resumed. The study stays as it is.
    """
    from harness.cli.signals import stopped_by_signals
    from harness.cli.sweeping import say
    from harness.cli.tables import print_json, print_reproduction, reproduction_dict
    from harness.reproducing.reproduce import reproduce as train_again
    from harness.study.choosing import choose_trial
    from harness.study.event_log import read
    from harness.study.opening import open_study
    from harness.sweeping.engines import engine_choice
    from harness.sweeping.plan import Stop

    on = engine_choice(engine, ray_address)
    paths, state = open_study(study)
    chosen = choose_trial(state, trial)
    last, metric, stop = chosen.last_epoch, state.objective.name, Stop()

    def told(event: EpochEnded) -> None:
        value = event.metrics.get(metric)
        say(f"epoch {event.epoch} of {last}" + ("" if value is None else f": {metric} {value:.4f}"))

    say(f"training trial {trial} of {paths.folder.name} again, to epoch {last} …")
    with stopped_by_signals(stop):
        found = train_again(
            paths, read(paths.log), chosen, tolerance=tolerance, told=told, stop=stop, engine=on, note=say
        )
    if json_:
        print_json(reproduction_dict(found))
    else:
        print_reproduction(found)
    if found.verdict == "different":
        raise typer.Exit(1)
