"""Which program trains an epoch of a segment, and how it comes to the state of the trial.

A trial with an `unfreeze` above 0 has two stages: its head is trained on features, and then the whole network
on pixels. The second stage begins with what the first one has left, by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from harness.clock import now_ms
from harness.data.arrays import Images, ImagesOnDisk
from harness.errors import StudyError
from harness.experiment.parameters import in_epoch
from harness.records import Checkpoint, CheckpointDamaged, Params, Segment
from harness.seeds import seed_from
from harness.study_files import study_files
from harness.train import checkpoint as checkpoints
from harness.train.body import FrozenBody
from harness.train.features import features_of
from harness.train.metrics import Logits
from harness.train.program import Program
from harness.train.pulses import unheard
from harness.train.state import UnfitError
from harness.train.store_waits import when_store_answers
from harness.train.worker_cache import Resident, WorkerCache, cache_key
from harness.train.writing import Observe


@dataclass(frozen=True, slots=True)
class Stage:
    """Some epochs of a segment, which one program trains."""

    segment: Segment
    """With the parameters that hold in these epochs."""
    body: FrozenBody | None
    program: Program

    def reset(self) -> None:
        """Bring the program to the beginning of the trial."""
        segment = self.segment
        self.program.reset(seed_from(segment.seed, "weights"), dropout=float(segment.params["dropout"]))

    def predict(self, images: Images | ImagesOnDisk) -> Logits:
        """Logits of raw images, uint8 (N, H, W, C), float32 (N, K)."""
        if self.body is None or self.program.takes_pixels:
            return self.program.predict(images)
        return self.program.predict(features_of(images, self.body, unheard))

    def predict_one(self, image: Images) -> Logits:
        """Logits of one raw image, uint8 (1, H, W, C), computed alone: for measuring."""
        if self.body is None or self.program.takes_pixels:
            return self.program.predict(image)
        return self.program.predict(self.body.compute_one(image))

    def resident(self, epoch: int) -> Resident:
        """What the program's state after an epoch is recognised by."""
        return self.segment.study_folder, self.segment.trial, epoch, cache_key(self.segment)


def stage_of(segment: Segment, cache: WorkerCache, epoch: int) -> Stage:
    """What trains an epoch of the segment, in whatever state it is."""
    here = replace(segment, params=_params_in(segment, epoch))
    body = cache.body(here)
    return Stage(here, body, cache.program(here, body))


def _params_in(segment: Segment, epoch: int) -> Params:
    return in_epoch(segment.params, epoch - segment.before, segment.unfreeze_at)


def following(stage: Stage, segment: Segment, cache: WorkerCache, epoch: int) -> Stage:
    """What trains the next epoch of the segment, in the state after this one.

    Args:
        stage: has trained the epoch.
        segment: as it was given.
        cache: of the worker.
        epoch: the last whole one.
    """
    if _params_in(segment, epoch + 1) == stage.segment.params:
        return stage
    state = stage.program.state()
    cache.measure_program()
    new = stage_of(segment, cache, epoch + 1)
    new.reset()
    new.program.restore(state)
    return new


def take_up(
    segment: Segment, cache: WorkerCache, observe: Observe, should_stop: Callable[[], bool]
) -> tuple[Stage, int]:
    """What trains the segment's first epoch, in the state of the trial, and the epochs that this has had.

    Args:
        segment: on the open data set.
        cache: of the worker.
        observe: told of checkpoints that cannot be used.
        should_stop: whether the sweep ends.

    Raises:
        StoreLostError: the object store that has the checkpoint cannot be reached.
    """
    resident, cache.resident = cache.resident, None
    files = study_files(segment.study_folder)
    for checkpoint in (segment.checkpoint, segment.earlier_checkpoint):
        if checkpoint is None:
            continue
        stage = stage_of(segment, cache, checkpoint.epoch + 1)
        if resident == stage.resident(checkpoint.epoch) and checkpoint is segment.checkpoint:
            return stage, checkpoint.epoch
        unusable = partial(_unusable, segment, checkpoint)
        stage.reset()
        load = partial(checkpoints.load, files, checkpoint, stage.program.names)
        try:
            stage.program.restore(when_store_answers(load, segment, observe, should_stop))
        except StudyError as error:
            observe(unusable(str(error)))
        except UnfitError as error:
            file = files.shown(checkpoint.file)
            observe(unusable(f"The checkpoint {file} does not fit the network: {error}."))
        else:
            return stage, checkpoint.epoch
    stage = stage_of(segment, cache, segment.before + 1)
    stage.reset()
    return stage, segment.before


def _unusable(segment: Segment, checkpoint: Checkpoint, problem: str) -> CheckpointDamaged:
    """The event that reports a checkpoint's problem, a sentence."""
    return CheckpointDamaged(
        trial=segment.trial,
        attempt=segment.attempt,
        checkpoint=checkpoint,
        message=f"{problem} An earlier state is used, and what came after it is trained again.",
        time=now_ms(),
    )
