"""From what a data set and a machine are like to an experiment file, as decisions with their reasons."""

from __future__ import annotations

from dataclasses import dataclass

from harness.experiment.picture_size import SMALL_PICTURES
from harness.proposal import pretrained, scratch
from harness.proposal.decision import SHORTEST_SIDE, Decision, experiment_name
from harness.proposal.frame import divided, division_decisions, objective, warnings
from harness.proposal.means import Means
from harness.proposal.survey import FRAMES, Survey

MANY_PICTURES = 20_000
"""From so many on, a network learns from the pictures alone what they look like."""
INSTALL = "pip install 'harness[pretrained]'"
_RECOGNISED = (
    "These are clips, videos or animations, and no other images: of each, {} frames are taken, evenly over "
    "its time. More show quicker movements, and cost more. Animations count as their first pictures with "
    "--set dataset.frames=null."
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """An experiment that fits a data set."""

    survey: Survey
    decisions: tuple[Decision, ...]
    warnings: tuple[str, ...]
    """Sentences that the user should read before anything is trained."""

    @property
    def name(self) -> str:
        """Of the experiment."""
        return experiment_name(self.survey.name)


def propose(survey: Survey, means: Means, limit: float | None = None) -> Proposal:
    """What fits a data set on a machine; it depends on nothing else.

    Args:
        survey: of the data.
        means: the machine, and the backbones whose weights are installed.
        limit: seconds that the user gives to the search, infinity if it is to have no limit; None: as many as
            it needs.
    """
    division, said = divided(survey), warnings(survey)
    why = _why_from_scratch(survey)
    if why is None and means.backbones:
        network = pretrained.decide(survey, means, division, limit)
    else:
        if why is None:
            what = _pictures(survey)
            why = (
                f"A network that was trained on other pictures would suit {survey.images:,} {what} of "
                f"{survey.size[0]}×{survey.size[1]} pixels better, but the weights of none are installed."
            )
            said.append(
                "No pretrained network can be used, so that networks are trained from scratch, which is "
                f"worse for so few {what}. Type: {INSTALL}, and then the same again. ({means.missing})"
            )
        network = scratch.decide(survey, means, division, limit, why)
    decisions = [
        Decision("name", experiment_name(survey.name)),
        *_given(survey),
        *[one for one in network if one.key.startswith("dataset.")],
        *division_decisions(survey, division),
        objective(survey),
        *[one for one in network if not one.key.startswith("dataset.")],
    ]
    return Proposal(survey, tuple(decisions), tuple(said))


def _given(survey: Survey) -> list[Decision]:
    """How the data set is read: the source, and what the user says of it."""
    given = survey.config.model_dump(mode="json", include=survey.config.model_fields_set - {"source"})
    recognised = {"frames": _RECOGNISED.format(FRAMES)} if survey.recognised else {}
    return [
        Decision("dataset.source", survey.config.source, "Paths are meant from where harness is called."),
        *(
            Decision(f"dataset.{key}", value, recognised.get(key, "As given."))
            for key, value in given.items()
        ),
    ]


def _pictures(survey: Survey) -> str:
    return "clips" if survey.frames else "pictures"


def _why_from_scratch(survey: Survey) -> str | None:
    """Why a network is better trained on these pictures alone; None if a pretrained one suits them better."""
    height, width = survey.whole
    if max(survey.whole) <= SMALL_PICTURES or min(survey.whole) < SHORTEST_SIDE:
        return (
            f"{'Frames' if survey.frames else 'Pictures'} of {height}×{width} pixels are too small for "
            "pretrained networks to see much in them, so networks are trained from scratch."
        )
    if survey.images >= MANY_PICTURES:
        return (
            f"{survey.images:,} {_pictures(survey)} are enough to learn from alone, so networks are trained "
            "from scratch."
        )
    return None
