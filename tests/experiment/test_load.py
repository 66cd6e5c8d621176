"""Experiment files: built-in ones load, wrong ones are explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ExperimentError
from harness.experiment.distributions import Distribution, FloatRange
from harness.experiment.load import builtin_names, dump, load, restore, single
from harness.experiment.parameters import complete, multiply_adds
from harness.experiment.space import resolve
from harness.records import Params, Scalar
from tests.experiment.spaces import searched

GOOD = """name: mine
space:
  depth: {type: int, low: 1, high: 3}
  l2: {type: float, low: 1e-6, high: 1e-2, log: true}
"""


def written(text: str, name: str = "mine.yaml") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


@pytest.mark.parametrize("name", builtin_names())
def test_built_in_experiments_load_and_survive_json(name: str) -> None:
    experiment = load(name)
    assert restore(dump(experiment)) == experiment
    assert searched(single(experiment).space) == []


def test_the_promised_experiments_are_there() -> None:
    assert {"quickstart", "cifar10", "baseline"} <= set(builtin_names())


def test_a_path_works_and_numbers_like_1e_6_are_numbers() -> None:
    experiment = load(written(GOOD))
    assert experiment.space.parameters["l2"][0].values == FloatRange(1e-6, 1e-2, log=True)
    assert experiment.objective.direction == "maximize"


def test_a_loss_is_minimised_unless_said_otherwise() -> None:
    assert load(written(GOOD), ["objective.metric=val_loss"]).objective.direction == "minimize"


def test_overrides_reach_every_key() -> None:
    experiment = load(
        written(GOOD),
        [
            "training.epochs=3",
            "dataset.image_size=[24, 32]",
            "space.depth=2",
            "space.optimizer=[sgd, adam]",
            "seed=7",
        ],
    )
    assert experiment.training.epochs == 3
    assert experiment.dataset.image_size == (24, 32)
    assert searched(experiment.space) == ["l2", "optimizer"]
    assert experiment.seed == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("- a\n- b\n", "holds a list"),
        ("name: [unclosed\n", "this is not YAML"),
        ("name: a\nname: b\n", "mine.yaml:2: the key name stands here a second time"),
        ("name: !!python/object/apply:os.system [ls]\n", "this is not YAML"),
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("1: 2\n", "is not a word"),
        ("name: mine\n", "mine.yaml: space: this key is missing"),
        ("name: mine\nspace: {}\n", "mine.yaml:2: space: it is empty"),
        (GOOD + "datasett: {}\n", "mine.yaml:5: datasett: there is no such key; did you mean dataset?"),
        (
            GOOD + "dataset:\n  image_sise: 32\n",
            "mine.yaml:6: dataset.image_sise: there is no such key; did you mean image_size?",
        ),
        (GOOD + "dataset: {color: gray}\n", "did you mean grey?"),
        (GOOD + "training: {epochs: ten}\n", "mine.yaml:5: training.epochs: 'ten' is not allowed"),
        (GOOD + "training: {epochs: 0}\n", "training.epochs: 0 is not allowed"),
        (GOOD + "training: {epochs: 3, unfreeze_at: 3}\n", "unfreeze_at is 3, but 3 epochs leave none"),
        (GOOD.replace("mine", "../mine", 1), "is not a name"),
        (
            GOOD.replace("depth", "depht"),
            "mine.yaml:3: space.depht: there is no such parameter; did you mean depth?",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_located(text: str, message: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        load(written(text))
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "takes KEY=VALUE"),
        ("seed=-1", "--set seed: -1 is not allowed"),
        ("training.epoch=3", "did you mean epochs?"),
        ("name.x=1", "which has no keys inside"),
        ("seed=[", "is not a YAML value"),
        (
            "scheduler=asha",
            "--set scheduler: 'asha' is not allowed; it must be a mapping with `kind`, one of asha, ",
        ),
        (
            "scheduler=null",
            "--set scheduler: None is not allowed; it must be a mapping with `kind`, one of asha, ",
        ),
        ("scheduler.kind=null", "--set scheduler.kind: None is not allowed; it must be asha, "),
        ("scheduler.kind=[asha]", "--set scheduler.kind: "),
        ("scheduler.kind=ashas", "--set scheduler.kind: 'ashas' is not allowed; it must be asha, "),
        (
            "objective.metric=latency_ms",
            "--set objective.metric: 'latency_ms' is not allowed; it must be val_accuracy, ",
        ),
        (
            "objective.metric=latenzy_ms",
            "--set objective.metric: 'latenzy_ms' is not allowed; it must be val_accuracy, ",
        ),
        (
            "objectives=[{metric: parameters}]",
            "--set objectives.0.metric: 'parameters' is not allowed; it must be val_",
        ),
        ("objectives=[{metric: val_loss}, {metric: val_los}]", "did you mean val_loss?"),
        (
            "objectives=[{metric: val_loss}, {metric: val_loss}]",
            "--set objectives.1.metric: val_loss is an objective already",
        ),
    ],
)
def test_mistaken_overrides_are_named(override: str, message: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        load(written(GOOD), [override])
    assert message in str(caught.value)
    assert "pydantic" not in str(caught.value)
    assert "discriminator" not in str(caught.value)
    assert "; did you mean latency" not in str(caught.value)


def test_a_scheduler_that_knows_one_objective_is_told_where_it_stands() -> None:
    two = GOOD + "objectives: [{metric: val_loss}, {metric: parameters}]\nscheduler:\n  kind: median\n"
    with pytest.raises(
        ExperimentError, match=r"mine\.yaml:7: scheduler\.kind: median knows one objective only"
    ):
        load(written(two))


def test_one_training_keeps_the_advice_about_its_file() -> None:
    experiment = load(written(GOOD + "limits: {parameters: 100000}\n"))
    assert experiment.advice
    assert single(experiment).advice == experiment.advice


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ExperimentError, match="Did you mean cifar10"):
        load("cifar1")
    with pytest.raises(ExperimentError, match="baseline, cifar10"):
        load("nonsense.yaml")


def test_a_folder_is_not_an_experiment() -> None:
    Path("pictures").mkdir()
    with pytest.raises(ExperimentError, match="`harness sweep pictures` also runs it"):
        load("pictures")


def test_binary_and_huge_files_are_refused() -> None:
    Path("binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ExperimentError, match="not a text file"):
        load("binary.yaml")
    with pytest.raises(ExperimentError, match="more than 1,000,000 bytes"):
        load(written("x" * 1_000_001))
    with pytest.raises(ExperimentError, match="nested too deeply"):
        load(written("a: " + "[" * 5000 + "]" * 5000))


def test_what_a_clock_decides_is_refused_in_an_ordered_study(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError) as refused:
        load(
            "quickstart",
            [
                "search.ordered=true",
                "search.max_trial_seconds=5",
                "limits.latency_ms=3",
                "also=[{metric: latency_ms}]",
            ],
        )
    lines = str(refused.value).split("\n")
    assert [line.split(": ")[0] for line in lines] == [
        "--set search.max_trial_seconds",
        "--set limits.latency_ms",
        "--set also.0.metric",
    ]
    load("quickstart", ["search.ordered=true", "limits.parameters=1000", "search.timeout=5"])
    load("quickstart", ["search.max_trial_seconds=5", "limits.latency_ms=3"])


@pytest.mark.parametrize("kind", ["asha", "hyperband", "screen"])
def test_schedules_that_cannot_be_compared_at_rungs_are_pointed_out(kind: str) -> None:
    mixed = load(written(GOOD + "  schedule: [constant, one_cycle]\n"), [f"scheduler.kind={kind}"])
    (sentence,) = mixed.search_advice
    assert f"{kind} compares trials at rungs" in sentence
    assert "constant and one_cycle" in sentence
    assert "cycle_per_rung" in sentence
    assert single(mixed).search_advice == (), "one training is compared with nothing"


@pytest.mark.parametrize(
    ("schedules", "kind"),
    [
        ("one_cycle", "asha"),
        ("[one_cycle]", "asha"),
        ("[constant, cycle_per_rung]", "hyperband"),
        ("[constant, cosine, one_cycle]", "none"),
        ("[cosine, one_cycle]", "patient"),
    ],
)
def test_schedules_that_can_be_compared_need_no_advice(schedules: str, kind: str) -> None:
    assert load(written(GOOD + f"  schedule: {schedules}\n"), [f"scheduler.kind={kind}"]).search_advice == ()


def test_schedules_under_conditions_count_together() -> None:
    conditional = """  family: [cnn, resnet]
  schedule:
    - {type: constant, value: cosine, when: {family: cnn}}
    - {type: constant, value: one_cycle, when: {family: resnet}}
"""
    (sentence,) = load(written(GOOD + conditional)).search_advice
    assert "cosine and one_cycle" in sentence


@pytest.mark.parametrize("name", builtin_names())
def test_built_in_experiments_follow_the_advice(name: str) -> None:
    assert load(name).search_advice == load(name).advice == ()


@pytest.mark.parametrize("name", [name for name in builtin_names() if len(searched(load(name).space)) > 1])
def test_built_in_searches_begin_with_whole_configurations_the_cheapest_first(name: str) -> None:
    experiment = load(name)
    assert 2 <= len(experiment.start_with) <= 4
    costs = []
    for start in experiment.start_with:
        asked: list[str] = []

        def given(
            sampled_as: str, _: Distribution, start: Params = start, asked: list[str] = asked
        ) -> Scalar:
            asked.append(sampled_as.partition("[")[0])
            return start[asked[-1]]  # what is not given would be sampled

        params, _ = resolve(experiment.space, given)
        assert set(start) == set(asked), "what is given and does not apply is not wanted"
        costs.append(multiply_adds(complete(params, experiment.model), (32, 32, 3)))
    known = [cost for cost in costs if cost is not None]
    assert known == sorted(known)


STARTS = (
    GOOD
    + """start_with:
  - {depth: 1, l2: 1e-5}
  - {depth: 2}
  - {depth: 3, l2: 1e-3}
"""
)


@pytest.mark.parametrize(
    ("override", "left"),
    [
        ("space.depth=[2, 3]", [2, 3]),
        ("space.depth=3", [3]),
        ("space.depth.high=2", [1, 2]),
        ("space.depth=6", []),
        ("space={depth: [1, 4], l2: 1e-5}", [1]),
    ],
)
def test_starts_of_the_file_that_do_not_fit_a_typed_space_are_left_out(
    override: str, left: list[int]
) -> None:
    """Otherwise no range of an experiment that begins with known configurations could be changed."""
    experiment = load(written(STARTS), [override])
    assert [start["depth"] for start in experiment.start_with] == left
    (sentence,) = experiment.search_advice
    assert f"{3 - len(left)} of the 3 configurations in mine.yaml do not fit" in sentence


def test_starts_that_fit_a_typed_space_stay() -> None:
    experiment = load(written(STARTS), ["space.depth=[1, 2, 3, 4]"])
    assert (len(experiment.start_with), experiment.search_advice) == (3, ())


@pytest.mark.parametrize(
    ("text", "overrides", "named"),
    [
        (GOOD + "start_with: [{depth: 9}]\n", [], "mine.yaml:5: start_with.0.depth"),
        (GOOD + "start_with: [{'a.b': 9}]\n", [], "mine.yaml:5: start_with.0.a.b: a.b is not in the space"),
        (STARTS.replace("1e-3}", "5}"), ["space.depth=2"], "start_with.2.l2"),
        (STARTS, ["start_with=[{depth: 9}]", "space.depth=2"], "--set start_with.0.depth"),
    ],
)
def test_starts_that_never_fitted_and_those_that_were_typed_are_mistakes(
    text: str, overrides: list[str], named: str
) -> None:
    with pytest.raises(ExperimentError, match=named):
        load(written(text), overrides)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "training: {epochs: 1}\nspace: {family: pretrained, unfreeze: [0, 2]}\n",
            "space.unfreeze: it has no",
        ),
        (
            "training: {unfreeze_at: 2}\nspace: {family: pretrained}\n",
            "training.unfreeze_at: it has no effect",
        ),
        ("training: {unfreeze_at: 2}\nspace: {depth: 2}\n", "training.unfreeze_at: it has no effect"),
        ("training: {unfreeze_at: 2}\nspace: {family: pretrained, unfreeze: 1}\n", ""),
        ("space: {family: pretrained, unfreeze: {type: int, low: 0, high: 3}}\n", ""),
    ],
)
def test_an_unfreezing_that_cannot_happen_is_told(text: str, told: str) -> None:
    advice = load(written("name: mine\n" + text)).advice
    assert len(advice) == bool(told)
    assert all(told in sentence for sentence in advice)


@pytest.mark.parametrize(
    ("overrides", "family"),
    [
        ([], "cnn"),
        (["space.stages=2"], "resnet"),
        (["space.cell=lstm"], "rnn"),
        (["space.convs=2"], "cnn"),
        (["space.family=resnet", "space.stages=2"], "resnet"),
    ],
)
def test_one_training_is_of_a_family_that_has_what_is_given(overrides: list[str], family: str) -> None:
    trained = single(load("families", overrides))
    params, _ = resolve(trained.space, lambda name, _: pytest.fail(f"{name} is searched"))
    assert params["family"] == family
    for override in overrides:
        name, _, value = override.removeprefix("space.").partition("=")
        assert str(params[name]) == value
    assert trained.advice == ()


def test_what_has_no_effect_on_the_family_that_is_trained_is_told() -> None:
    trained = single(load("families", ["space.stages=2", "space.cell=lstm"]))
    assert "stages" not in trained.space.parameters
    assert "cell" not in trained.space.parameters
    assert [sentence.partition(":")[0] for sentence in trained.advice] == ["space.stages", "space.cell"]
