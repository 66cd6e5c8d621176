"""What is proposed for a data set fits it, can be afforded, and is what the file says."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.experiment.dataset_config import DatasetConfig
from harness.experiment.distributions import Distribution
from harness.experiment.experiment import Experiment
from harness.experiment.load import load_text
from harness.experiment.parameters import complete, multiply_adds
from harness.experiment.space import resolve
from harness.experiment.yaml_file import parse_yaml
from harness.proposal.decision import LARGEST_SIDE, experiment_name, fitted, in_words
from harness.proposal.decisions import INSTALL, Proposal, propose
from harness.proposal.file import as_yaml, decided
from harness.proposal.frame import divided
from harness.proposal.means import BACKBONES, Means
from harness.proposal.survey import Survey
from harness.records import Params, Scalar
from harness.sweeping.parts import make_scheduler
from tests.proposal.surveys import LIMITS, machines, surveys

FILE = Path("it.yaml")
MEANS = Means(training=3e10, predicting=1.8e10, is_measured=False, backbones=BACKBONES)
"""Two cores."""
BARE = Means(training=3e10, predicting=1.8e10, is_measured=False, backbones=(), missing="They are away.")


def a_survey(counts: dict[str, int], size: tuple[int, int], **more: Any) -> Survey:
    found = {
        "config": DatasetConfig(source="some"),
        "name": "some",
        "counts": {"train": sum(counts.values())},
        "class_counts": counts,
        "size": size,
        "smallest": size,
        "largest": size,
        "channels": 3,
        "headers": 9,
    }
    return Survey(**(found | more))


def values_of(proposal: Proposal) -> dict[str, Any]:
    return {one.key: one.value for one in proposal.decisions}


def loaded(proposal: Proposal) -> Experiment:
    return load_text(as_yaml(proposal, ["harness sweep it.yaml"]), FILE)


@settings(max_examples=150, deadline=None)
@given(surveys(), machines(), LIMITS)
def test_every_file_says_what_was_decided_and_why(survey: Survey, means: Means, limit: float | None) -> None:
    proposal = propose(survey, means, limit)
    text = as_yaml(proposal, ["harness sweep it.yaml"])
    assert load_text(text, FILE).name == experiment_name(survey.name)
    written, _ = parse_yaml(text, FILE)
    comments = " ".join(re.findall(r"^ *# ?(.*)$", text, re.MULTILINE))
    for decision in proposal.decisions:
        place: Any = written
        for key in decision.key.split("."):
            place = place[key]
        assert place == decision.value, decision.key
        reason = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in decision.reason)
        assert " ".join(reason.split()) in " ".join(comments.split())
    assert len({one.key for one in proposal.decisions}) == len(proposal.decisions)
    assert all(sentence == sentence.strip() for sentence in decided(proposal))


@settings(max_examples=150, deadline=None)
@given(surveys(), machines(), LIMITS)
def test_what_is_proposed_fits_the_data(survey: Survey, means: Means, limit: float | None) -> None:
    found, experiment = values_of(propose(survey, means, limit)), loaded(propose(survey, means, limit))
    photographs = max(survey.whole) > 48 and min(survey.whole) >= 32 and survey.images < 20_000
    assert (found["space.family"] == "pretrained") == (photographs and bool(means.backbones))
    rare = max(survey.class_counts.values()) >= 3 * min(survey.class_counts.values())
    assert experiment.objective.name == ("val_f1_macro" if rare else "val_accuracy")
    assert ("balance" in experiment.space.parameters) == rare
    size = experiment.dataset.image_size
    if survey.config.image_size is not None:
        assert size == survey.config.image_size
    else:
        assert isinstance(size, tuple)
        assert max(size) <= max(2, *survey.size)
        assert size == fitted(survey.size, max(size))
    if found["space.family"] == "pretrained":
        sides = as_list(found["space.image_size"])
        assert sides == sorted(set(sides))
        if survey.config.image_size is None:
            least = -(-32 * max(survey.size) // min(survey.size))  # for 32 pixels on the shorter side
            assert max(found["dataset.image_size"]) == min(max(survey.size), 1024, max(*sides, least))
    given_limit = limit is not None and math.isfinite(limit)
    timeout = experiment.search.timeout
    assert timeout == limit if given_limit else (timeout is None) == (limit is not None)
    for key in ("validation_fraction", "test_fraction"):
        brought = key.partition("_")[0] in survey.counts
        said = key in survey.config.model_fields_set
        held_out = said or not brought
        if key == "validation_fraction" and experiment.folds.parts:
            held_out = said
        assert (f"dataset.{key}" in found) == held_out
    given = survey.config.model_fields_set
    division = divided(survey)
    left = division.train + division.validation
    few = left >= 5 and round(division.validation_fraction * left) < 300
    few = few and "validation" not in survey.counts
    if not given & {"folds", "validation_fraction"}:
        assert found.get("dataset.folds") == (5 if few else None)
    if experiment.folds.parts:
        assert not any(key.startswith("scheduler.") for key in found)


@given(surveys().filter(lambda survey: survey.frames), machines())
def test_clips_are_read_by_order_or_averaged_and_never_mirrored(survey: Survey, means: Means) -> None:
    found = values_of(propose(survey, means))
    if found["space.family"] == "pretrained":
        assert (found["space.order"], found["space.views"]) == (["none", "gru"], 1)
    else:
        assert (found["space.family"], found["space.augmentation"]) == (["rnn", "cnn"], "shift")


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@settings(max_examples=150, deadline=None)
@given(surveys(), machines(), LIMITS)
def test_the_largest_member_is_affordable_or_there_is_no_smaller_one(
    survey: Survey, means: Means, limit: float | None
) -> None:
    found = values_of(propose(survey, means, limit))
    division = divided(survey)
    seconds = found["search.timeout"] or math.inf
    if found["space.family"] == "pretrained":
        chosen = [one for one in BACKBONES if one.name in as_list(found["space.backbone"])]
        sides, views = as_list(found["space.image_size"]), max(as_list(found["space.views"]))
        images = (division.train * views + division.validation) * max(1, survey.frames)
        work = sum(
            images * one.cost(tuple(max(32, length) for length in fitted(survey.whole, side)))  # type: ignore[arg-type]
            for one, side in itertools.product(chosen, sides)
        )
        smallest = len(chosen) == len(sides) == views == 1
        assert work / means.predicting <= seconds / 3 * (1 + 1e-9) or smallest
        return
    families, images = as_list(found["space.family"]), found.get("training.epoch_images", division.train)
    size = found["dataset.image_size"]
    height, width = size if isinstance(size, list) else (size, size)
    largest: list[Params] = []
    for family in families:
        depth, wide = of_family(found["space.depth"], family), of_family(found["space.width"], family)
        convs = of_family(found.get("space.convs", 1), family) if family == "cnn" else 1
        largest.append({"family": family, "depth": depth, "width": wide, "convs": convs})
    shape = survey.example_shape((height, width))
    cost = max(multiply_adds(complete(params), shape) or 0 for params in largest)
    training = division.trainings * 3 * found["training.epochs"] * images * cost / means.training
    fewest = ["rnn", "cnn"] if survey.frames else ["cnn"]
    smallest = of_family(found["space.width"], "cnn") == 16 and families == fewest and images <= 2_500
    assert training <= seconds / 2 * (1 + 1e-9) or smallest


def of_family(entry: Any, family: str) -> int:
    """The largest value that a parameter may have for a family."""
    if isinstance(entry, int):
        return entry
    if isinstance(entry, dict):
        return int(entry.get("high") or entry.get("value") or max(entry.get("choices", [0])))
    return max(of_family(one, family) for one in entry if one.get("when", {}).get("family", family) == family)


@settings(max_examples=100, deadline=None)
@given(surveys(), machines())
def test_searches_begin_with_whole_configurations_the_cheapest_first(survey: Survey, means: Means) -> None:
    experiment = loaded(propose(survey, means))
    costs = []
    for start in experiment.start_with:
        asked: list[str] = []

        def known(
            sampled_as: str, _: Distribution, start: Params = start, asked: list[str] = asked
        ) -> Scalar:
            asked.append(sampled_as.partition("[")[0])
            return start[asked[-1]]

        params, _ = resolve(experiment.space, known)
        assert set(start) == set(asked)
        full = complete(params)
        costs.append((int(full["image_size"]), multiply_adds(full, survey.example_shape((32, 32)))))
    assert len(costs) == 2
    assert costs == sorted(costs)
    assert experiment.search_advice == ()
    useless = experiment.folds.parts and "validation_fraction" in survey.config.model_fields_set
    assert bool(experiment.advice) == bool(useless)
    rungs = make_scheduler(experiment).rungs
    assert rungs[-1] == experiment.folds.all_epochs
    assert len(rungs) >= 3


@pytest.mark.parametrize(
    ("size", "prepared"),
    [
        ((20, 900), [14, 643]),
        ((900, 20), [643, 14]),
        ((100, 900), [32, 288]),
        ((300, 900), [32, 96]),
        ((675, 900), [72, 96]),
        ((30, 100), [30, 100]),
        ((3, 3496), [2, 1024]),
    ],
)
def test_of_elongated_pictures_enough_is_left_to_be_seen(size: tuple[int, int], prepared: list[int]) -> None:
    found = values_of(propose(a_survey({"a": 40, "b": 40}, size), BARE))
    assert found["dataset.image_size"] == prepared


@settings(deadline=None)
@given(surveys(), machines(), LIMITS)
def test_pictures_keep_their_shape(survey: Survey, means: Means, limit: float | None) -> None:
    size = values_of(propose(survey, means, limit)).get("dataset.image_size")
    if survey.config.image_size is None:
        (short, long), (shorter, longer) = sorted(size), sorted(survey.size)
        # None is enlarged, and none becomes a line that was not one.
        assert short <= max(2, shorter)
        enough = short >= min(shorter, 10) or long * (shorter * long / longer) >= 30 * 30
        assert enough or long == LARGEST_SIDE < longer, "more is not to be had"
        assert short == max(2, round(shorter * long / longer))


def test_elongated_photographs_are_as_large_as_a_pretrained_network_needs_them() -> None:
    found = values_of(propose(a_survey({"a": 40, "b": 40}, (60, 900)), MEANS))
    assert found["space.family"] == "pretrained"
    assert found["dataset.image_size"] == [32, 480]


def test_photographs_get_a_pretrained_network_of_their_size() -> None:
    found = values_of(propose(a_survey({"a": 240, "b": 240}, (500, 598)), MEANS))
    assert found["space.family"] == "pretrained"
    assert found["space.image_size"] == [160, 224]
    assert found["space.views"] == [1, 2]
    assert "efficientnet_lite0" in found["space.backbone"]
    assert found["dataset.image_size"] == [187, 224]


def test_smaller_photographs_are_enlarged_by_the_network_and_not_on_disk() -> None:
    found = values_of(propose(a_survey({"a": 900, "b": 900}, (100, 100)), MEANS))
    assert found["dataset.image_size"] == [100, 100]
    assert found["space.image_size"] == [160, 224]


def test_less_time_gets_less_to_compute() -> None:
    survey = a_survey({"a": 900, "b": 900}, (500, 598))
    little, more = (values_of(propose(survey, MEANS, limit)) for limit in (90, 3600))
    assert len(as_list(little["space.backbone"])) < len(as_list(more["space.backbone"]))
    assert little["search.timeout"] == 90


def test_many_photographs_get_the_time_that_their_features_take() -> None:
    found = values_of(propose(a_survey({"a": 9_900, "b": 9_900}, (500, 598)), MEANS))
    assert found["space.family"] == "pretrained"
    assert found["search.timeout"] >= 600


def test_missing_weights_are_named_with_the_command_that_installs_them() -> None:
    proposal = propose(a_survey({"a": 240, "b": 240}, (500, 598)), BARE)
    assert values_of(proposal)["space.family"] == ["cnn", "resnet"]
    (sentence,) = proposal.warnings
    assert INSTALL in sentence
    assert "They are away." in sentence
    assert INSTALL in as_yaml(proposal, [])


def test_small_pictures_need_no_weights() -> None:
    proposal = propose(a_survey({"a": 240, "b": 240}, (28, 28), channels=1), BARE)
    assert proposal.warnings == ()
    assert values_of(proposal)["dataset.image_size"] == [28, 28]


def test_few_images_of_a_class_are_warned_of() -> None:
    proposal = propose(a_survey({"a": 3, "b": 40, "c": 4}, (200, 200)), MEANS)
    assert "2 classes have fewer than 5 training images (a: 3)" in proposal.warnings[0]
    assert values_of(proposal)["objectives"] == [{"metric": "val_f1_macro"}]
    assert "a: 3" in as_yaml(proposal, [])


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("My Flowers (2)", "my-flowers-2"),
        ("Früchte", "fruchte"),
        ("花", "images"),
        (".hidden", "hidden"),
        ("a" * 60, "a" * 40),
        ("--", "images"),
    ],
)
def test_names_of_data_become_names_of_experiments(name: str, wanted: str) -> None:
    assert experiment_name(name) == wanted


@given(st.floats(0, 1e7))
def test_seconds_in_words_are_near(seconds: float) -> None:
    number, unit = in_words(seconds).replace(",", "").split()
    back = int(number) * {"s": 1, "minutes": 60, "hours": 3600}[unit]
    assert back == pytest.approx(seconds, rel=0.35, abs=1)
