"""`harness train`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import (
    DatasetOption,
    EngineOption,
    EpochsOption,
    JsonOption,
    RayAddressOption,
    RecheckOption,
    SetOption,
    StorageOption,
    StudyOption,
    use_storage,
)


def train(
    experiment: Annotated[
        str, typer.Argument(help="A built-in experiment (baseline, …) or the path of a YAML file.")
    ] = "baseline",
    dataset: DatasetOption = None,
    epochs: EpochsOption = None,
    study: StudyOption = None,
    engine: EngineOption = "local",
    ray_address: RayAddressOption = None,
    recheck: RecheckOption = False,
    set_: SetOption = None,
    json_: JsonOption = False,
    storage: StorageOption = None,
) -> None:
    """Train one configuration on all cores, and report on the validation images; the test set stays sealed.

    On a Ray cluster it has the cores and GPUs of `resources` instead, such as --set resources.cpus=8. What
    the experiment searches takes its default value; choose others with --set space.NAME=VALUE. On the test
    images the model is evaluated by `harness confirm STUDY --as-is`.
    """
    from dataclasses import asdict

    from harness.cli.sweeping import run_and_report, say
    from harness.cli.tables import print_evaluation, print_json
    from harness.experiment.load import load, single
    from harness.experiment.overrides import options
    from harness.study.openings import openings_in_words
    from harness.sweeping.engines import engine_choice

    use_storage(storage)
    engine_chosen = engine_choice(engine, ray_address)
    chosen = single(load(experiment, [*(set_ or []), *options(dataset=dataset, epochs=epochs, trials=1)]))
    state = run_and_report(chosen, study=study, workers=1, recheck=recheck, chosen=engine_chosen).state
    evaluations = state.trials[0].shown_evaluations
    if json_:
        print_json({evaluation.split: asdict(evaluation) for evaluation in evaluations})
    for evaluation in () if json_ else evaluations:
        print_evaluation(evaluation, openings_in_words(state))
    if not state.test_openings and state.started.dataset.counts["test"]:
        say(f"{openings_in_words(state)}; evaluate on it with: harness confirm {state.name} --as-is")
