"""What configurations cost, found out by asking a worker and remembered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.experiment.keys import network_key
from harness.records import Answer, Cost, Dataset, Params, Question

Ask: TypeAlias = Callable[[Question, float], Answer | None]
"""Puts a question to a worker and waits for the answer at most so many seconds."""
ASK_SECONDS = 60.0
"""How long a network may take to be built."""
MOST_SILENT = 2
"""Unanswered questions after which none is asked: the user's network may hang, or end the process."""


@dataclass(slots=True)
class Costs:
    """Costs of a study's configurations; equal networks are asked for once."""

    ask: Ask
    dataset: Dataset
    unknown: str | None = None
    """Why the cost of a configuration could not be found out, in a sentence; the last one."""
    _silent: int = 0
    """Questions that nobody has answered."""
    _found: dict[str, Cost | None] = field(default_factory=dict)

    def of(self, params: Params) -> Cost | None:
        """The cost of complete parameters; None if nobody can tell, as where the user's own network fails."""
        network = network_key(params)
        if network not in self._found:
            self._found[network] = self._asked(params)
        return self._found[network]

    def known(self, params: Params) -> Cost | None:
        """The cost of complete parameters if it was asked for before; nobody is asked now."""
        return self._found.get(network_key(params))

    def _asked(self, params: Params) -> Cost | None:
        if self._silent >= MOST_SILENT:
            return None
        shape, classes = list(self.dataset.example_shape), len(self.dataset.classes)
        arguments = {"params": params, "image_shape": shape, "classes": classes}
        answer = self.ask(Question(name="cost", arguments=arguments), ASK_SECONDS)
        if answer is None:
            self._silent += 1
            self.unknown = (
                f"no worker has built the network within {ASK_SECONDS:.0f} s, or it has ended the process"
            )
        elif answer.error is not None:
            self.unknown = answer.error
        return Cost.of(answer.found) if answer and answer.found else None
