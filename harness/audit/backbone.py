"""Features of a pretrained network, computed by a worker process where its weights are installed."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from harness.audit.facts import Facts
from harness.audit.features import cached_features, known_images
from harness.data.feature_store import BLOCK
from harness.engine.local import LocalEngine, threads_of
from harness.engine.protocol import Answered, WorkerLost, WorkerReady
from harness.errors import EngineError, HarnessError
from harness.experiment.parameters import complete
from harness.machine import usable_cores
from harness.model.backbones import BACKBONES
from harness.paths import StudyPaths
from harness.paths.prepared import ARRAYS, networks_with_features
from harness.records import Answer, Dataset, Progress, Question

BACKBONE = "efficientnet_lite0"
"""The cheapest of those whose weights come with a package."""
MULTIPLY_ADDS, SIDE = 3.9e8, 224
"""What an image takes, at so many pixels a side."""
SIDES = (160, 96)
"""What images are brought to, in pixels a side, the better first."""
LEAST_SIDE = 32
"""Pixels of the longer side below which pixels themselves say as much."""
RATE = 9e9
"""Multiply-adds a second of one core, a rule of thumb."""
SIMPLE = "Labels are judged by simple features of the pixels"
CHEAP_SECONDS = 60.0
"""What features may take that nobody asked for."""
PATIENCE = 20
"""How many times as long as expected is waited for."""
WAIT_SECONDS = 0.5
LABEL = "computing features"


def compute_features(
    facts: Facts, *, patient: bool, progress: Progress, tell: Callable[[str], object]
) -> list[str]:
    """Put features of the training and validation images into the cache, unless some network's are there.

    Args:
        facts: the data set.
        patient: compute them however long it takes; else only where it takes about a minute.
        progress: told how far it is.
        tell: told what is about to be done.

    Returns:
        A sentence if there are none afterwards, and why.
    """
    tiny = max(facts.image_shape[:2]) < LEAST_SIDE
    if facts.dataset is None or tiny or cached_features(facts) is not None:
        return []
    why_not = _not_installed()
    if why_not:
        return [f"{SIMPLE}, for there is no pretrained network: {why_not}"]
    images = len(known_images(facts))
    side = next((side for side in SIDES if _seconds(images, side) <= CHEAP_SECONDS), SIDES[-1])
    seconds = _seconds(images, side)
    if seconds > CHEAP_SECONDS and not patient:
        return [
            f"{SIMPLE}: those of a pretrained network would take about {seconds / 60:.0f} minutes; "
            "--suspects computes them."
        ]
    tell(
        f"computing features of {images:,} images by {BACKBONE} at {side} pixels, to compare them and judge "
        f"their labels: about {seconds:.0f} s, once"
    )
    params = complete({"family": "pretrained", "backbone": BACKBONE, "image_size": side})
    question = Question(name="features", arguments={"params": params, "dataset": asdict(facts.dataset)})
    try:
        known = _blocks(facts.dataset)

        def watch() -> None:
            progress(LABEL, min(BLOCK * (_blocks(facts.dataset) - known), images), images)

        answer = _answer(question, PATIENCE * seconds + 120, watch)
    except (HarnessError, OSError) as error:
        return [f"{SIMPLE}: {error}"]
    if answer.error is not None:
        return [f"{SIMPLE}: {answer.error}"]
    return []


def _not_installed() -> str:
    try:
        BACKBONES[BACKBONE].fingerprint()
    except HarnessError as error:
        return str(error)
    return ""


def _seconds(images: int, side: int) -> float:
    return images * MULTIPLY_ADDS * math.pow(side / SIDE, 2) / (RATE * usable_cores())


def _blocks(dataset: Dataset | None) -> int:
    """How many blocks of images the prepared data has features of, of all networks together."""
    networks = networks_with_features(Path(dataset.folder)) if dataset is not None else []
    return sum(1 for network in networks for _ in network.glob(f"*/{ARRAYS}"))


def _answer(question: Question, seconds: float, watch: Callable[[], None]) -> Answer:
    """What a worker process of its own says, which ends with it; `watch` is called while it computes.

    Raises:
        EngineError: it cannot be started, is lost, or says nothing in time.
    """
    with tempfile.TemporaryDirectory(prefix="harness-audit-") as folder:
        engine = LocalEngine(StudyPaths(Path(folder)), 1, threads=threads_of(1))
        with closing(engine):
            engine.start()
            for event in _events(engine, time.monotonic() + seconds):
                if isinstance(event, WorkerReady):
                    engine.ask(event.worker, question)
                elif isinstance(event, WorkerLost):
                    raise EngineError(event.reason)
                elif isinstance(event, Answered):
                    watch()
                    return event.answer
                elif event is None:
                    watch()
    raise EngineError(f"The worker that computes features did not answer within {seconds:.0f} s.")


def _events(engine: LocalEngine, deadline: float) -> Iterator[object]:
    """What the engine has to tell, and None each time that it has been asked."""
    while time.monotonic() < deadline:
        yield from engine.poll(WAIT_SECONDS)
        yield None
