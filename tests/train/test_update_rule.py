"""The catalog says which parameters change the update rule, so that no two rules share one program."""

from __future__ import annotations

import keras
import pytest

from harness.experiment.keys import program_key
from harness.experiment.parameters import CATALOG, OPTIMIZERS, complete
from harness.model.optimizers import OPTIMIZERS as MADE
from harness.train.step import TENSOR_PARAMETERS
from harness.train.update_rule import OPTIONAL, Group, update_rule

NUMBERS = [name for name, one in CATALOG.items() if one.kind in ("int", "float") and one.low <= 0]


def test_every_optional_piece_is_known_to_the_catalog() -> None:
    flagged = {name for name, one in CATALOG.items() if one.changes_graph_when_positive}
    assert OPTIONAL.keys() <= flagged
    assert OPTIONAL.keys() <= set(TENSOR_PARAMETERS)


@pytest.mark.parametrize("name", NUMBERS)
def test_configurations_with_different_pieces_share_no_program(name: str) -> None:
    without, small, large = (complete({"optimizer": "momentum"}) | {name: value} for value in (0, 0.25, 0.75))
    group = Group(keras.optimizers.SGD(), (), None)
    # as the program does: averages for whoever wants them
    pieces = [
        len(update_rule(one, [group], [], [None] if one["ema"] else [])) for one in (without, small, large)
    ]
    if pieces[0] != pieces[1]:
        assert program_key(without) != program_key(small)
    assert pieces[1] == pieces[2]
    if CATALOG[name].enters != "graph":
        assert program_key(small) == program_key(large)


def test_every_optimizer_of_the_catalog_can_be_made_and_no_other() -> None:
    assert tuple(MADE) == OPTIMIZERS
