"""A study as one self-contained HTML page: it opens without a network, anywhere, for years."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analysis.ensemble_text import ensemble_sentence, gain_sentence
from harness.analysis.findings import Noise
from harness.analysis.image_by_image import image_by_image
from harness.analysis.importance import importances
from harness.analysis.noise import noise_of
from harness.analysis.noise_text import noise_sentences
from harness.analysis.status import status
from harness.analysis.tables import (
    TEST,
    column_of_test,
    further_objectives,
    pareto_front,
    ranking,
    score_on_test,
)
from harness.paths import write_text
from harness.study.state import StudyState, best
from harness.study.trial import Trial

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from harness.analysis.calibration import Calibration
    from harness.analysis.image_by_image import ImageByImage

TOP = 20
CURVES = 8
MOST_POINTS = 5000
"""Trials drawn in the history; of more, every n-th."""
HEIGHT = 380
SMALL_CONFUSION = 30


def write_report(state: StudyState, target: Path, folder: Path) -> None:
    """Write the page of a study that has begun.

    Args:
        state: of the study.
        target: the page.
        folder: of the study, where its trials have left their predictions.
    """
    import jinja2
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    noise = noise_of(folder, state)
    ranked = ranking(state, noise if isinstance(noise, Noise) else None, top=TOP)
    winner = best(state)
    judged = image_by_image(folder, state, winner) if winner else None
    page = environment.get_template("report.html.jinja").render(
        status=status(state),
        study=state.started,
        objective=state.objective,
        made=time.strftime("%Y-%m-%d %H:%M"),
        best=winner,
        judged=judged,
        columns=ranked.columns,
        rows=[[_cell(value) for value in row.values()] for row in ranked.rows],
        worth=noise_sentences(noise),
        ensembles=[
            f"{ensemble_sentence(state, one)}. {gain_sentence(state, one)}" for one in state.ensembles
        ],
        test_metric=column_of_test(state),
        tested=[
            (number, value)
            for number in state.openings
            if (value := score_on_test(state.trials[number], column_of_test(state).removeprefix(TEST)))
            is not None
        ],
        figures=[(title, _html(figure)) for title, figure in _figures(state, judged)],
        plotly=get_plotlyjs(),
    )
    write_text(target, page)


def _figures(state: StudyState, judged: ImageByImage | None) -> list[tuple[str, go.Figure]]:
    metric = state.objective.name
    found = [(f"{metric} by trial", _history(state, metric))]
    front = {trial.number for trial in pareto_front(state)}
    found += [
        (f"Pareto front: {metric} and {other}", _pareto(state, metric, other, front))
        for other in further_objectives(state)
    ]
    found.append((f"{metric} by epoch, best trials", _curves(state, metric)))
    shares = importances(state)
    if shares:
        found.append(("Importance of the parameters", _importances(shares)))
    winner = best(state)
    if winner is not None:
        for evaluation in winner.shown_evaluations:
            if len(evaluation.per_class) <= SMALL_CONFUSION:
                title = f"Confusion matrix of trial {winner.number}, {evaluation.split}"
                found.append((title, _confusion(evaluation)))
        if judged is not None:
            title = f"Reliability of trial {winner.number}, validation: error {judged.calibration.error:.3f}"
            found.append((title, _reliability(judged.calibration, state.started.dataset.noun)))
    return found


def _history(state: StudyState, metric: str) -> go.Figure:
    import plotly.graph_objects as go

    scored = [trial for trial in state.trials.values() if trial.score is not None]
    pick = max, "best so far"
    if not state.objective.maximize:
        pick = min, "lowest so far"
    so_far: list[float | None] = []
    for trial in scored:
        before = so_far[-1] if so_far else None
        mine = trial.score if trial.state == "complete" else None
        known = [value for value in (before, mine) if value is not None]
        so_far.append(pick[0](known) if known else None)
    step = max(1, len(scored) // MOST_POINTS)
    figure = go.Figure()
    for kind, colour in (("complete", "#1f6f8b"), ("pruned", "#b0b7bd"), ("paused", "#d9a441")):
        shown = [trial for trial in scored[::step] if trial.state == kind]
        if shown:
            figure.add_scatter(
                x=[trial.number for trial in shown],
                y=[trial.score for trial in shown],
                mode="markers",
                name=kind,
                marker={"color": colour, "size": 7},
                text=[f"{trial.last_epoch} epochs" for trial in shown],
            )
    figure.add_scatter(
        x=[trial.number for trial in scored[::step]],
        y=so_far[::step],
        mode="lines",
        line={"shape": "hv", "color": "#1f6f8b"},
        name=pick[1],
    )
    return _laid_out(figure, "trial", metric)


def _curves(state: StudyState, metric: str) -> go.Figure:
    import plotly.graph_objects as go

    sign = -1 if state.objective.maximize else 1
    scored = [trial for trial in state.trials.values() if trial.score is not None]
    top = sorted(scored, key=lambda trial: (-max(trial.epochs), sign * (trial.score or 0.0)))[:CURVES]
    figure = go.Figure()
    for trial in top:
        epochs = sorted(trial.epochs)
        figure.add_scatter(
            x=epochs,
            y=[trial.epochs[epoch].get(metric) for epoch in epochs],
            mode="lines+markers",
            name=f"trial {trial.number}",
        )
    return _laid_out(figure, "epoch", metric)


def _pareto(state: StudyState, metric: str, other: str, front: set[int]) -> go.Figure:
    import plotly.graph_objects as go

    figure = go.Figure()
    for on_front, colour in ((False, "#b0b7bd"), (True, "#c0392b")):
        shown = [
            trial
            for trial in state.trials.values()
            if trial.state == "complete" and trial.score is not None and (trial.number in front) == on_front
        ]
        figure.add_scatter(
            x=[_value(trial, other) for trial in shown],
            y=[trial.score for trial in shown],
            mode="markers",
            name="on the front" if on_front else "dominated",
            marker={"color": colour, "size": 8},
            text=[f"trial {trial.number}" for trial in shown],
        )
    return _laid_out(figure, other, metric)


def _importances(shares: dict[str, float]) -> go.Figure:
    import plotly.graph_objects as go

    names = list(shares)[::-1]
    figure = go.Figure(
        go.Bar(x=[shares[name] for name in names], y=names, orientation="h", marker={"color": "#1f6f8b"})
    )
    return _laid_out(figure, "share of the variance", "")


def _confusion(evaluation: Any) -> go.Figure:
    import plotly.graph_objects as go

    names = [str(row["class"]) for row in evaluation.per_class]
    figure = go.Figure(
        go.Heatmap(z=evaluation.confusion, x=names, y=names, colorscale="Blues", texttemplate="%{z}")
    )
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(type="category")
    return _laid_out(figure, "predicted", "true", height=HEIGHT + 100)


def _reliability(found: Calibration, noun: str) -> go.Figure:
    """Accuracy by confidence; the probabilities are right where the bars reach the line."""
    import plotly.graph_objects as go

    held = [one for one in found.bins if one.images]
    figure = go.Figure(
        go.Bar(
            x=[one.confidence for one in held],
            y=[one.accuracy for one in held],
            width=[0.8 * (one.high - one.low) for one in held],
            marker={"color": "#1f6f8b"},
            text=[f"{one.images:,} {noun}s" for one in held],
            hovertemplate="confidence %{x:.3f}, accuracy %{y:.3f}, %{text}<extra></extra>",
            name="accuracy",
        )
    )
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": "#b0b7bd"}, name="as it should be")
    return _laid_out(figure, "confidence", "accuracy")


def _laid_out(figure: go.Figure, x: str, y: str, height: int = HEIGHT) -> go.Figure:
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        xaxis_title=x,
        yaxis_title=y,
        legend={"orientation": "h", "y": 1.1},
    )
    return figure


def _html(figure: go.Figure) -> str:
    found: str = figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False})
    return found


def _value(trial: Trial, metric: str) -> float | None:
    return trial.last_metrics.get(metric)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
