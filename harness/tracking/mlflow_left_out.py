"""The sentence about trials whose runs or models somebody has deleted in MLflow."""

from __future__ import annotations

from collections.abc import Collection

from harness.tracking.mlflow_runs import key_in_words


def left_out_sentence(study: str, runs: frozenset[int], models: frozenset[int]) -> str:
    """What to say of trials, and ensembles by their keys, whose runs, or only whose models, somebody has
    deleted."""
    what = [
        f"the {noun}{'s' * (len(trials) > 1)} of {_models(trials)}"
        for noun, trials in (("run", runs), ("model", models))
        if trials
    ]
    several = len(runs) + len(models) > 1
    return (
        f"MLflow: {' and '.join(what)} {'were' if several else 'was'} deleted there and "
        f"{'are' if several else 'is'} left out; `harness sync {study} --restore` makes "
        f"{'them' if several else 'it'} again."
    )


def _models(keys: frozenset[int]) -> str:
    """`trial 3`, `trials 0 to 4, 7 and 9`, or `trial 3 and ensemble 0`."""
    trials = [key for key in keys if key >= 0]
    named = [_trials(trials)] if trials else []
    return " and ".join([*named, *(key_in_words(key) for key in sorted(keys - {*trials}, reverse=True))])


def _trials(numbers: Collection[int]) -> str:
    """`trial 3`, or `trials 0 to 4, 7 and 9`."""
    stretches: list[list[int]] = []
    for number in sorted(numbers):
        if stretches and number == stretches[-1][-1] + 1:
            stretches[-1].append(number)
        else:
            stretches.append([number])
    parts = [
        part
        for stretch in stretches
        for part in (
            [f"{stretch[0]} to {stretch[-1]}"] if len(stretch) > 2 else [str(number) for number in stretch]
        )
    ]
    named = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    return f"trial{'s' * (len(numbers) > 1)} {named}"
