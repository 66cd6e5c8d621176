"""Sentences on what the best score of a study is worth."""

from __future__ import annotations

from harness.analysis.findings import Noise, Unknown

LEAST_POINTS = 0.1


def noise_sentences(found: Noise | Unknown) -> list[str]:
    """What is to be said under a leaderboard and at the end of a sweep; the last one tells of the luck."""
    if isinstance(found, Unknown):
        return [found.reason] if found.reason else []
    return [_tied(found), _luck(found)]


def _tied(noise: Noise) -> str:
    best, images = f"trial {noise.best}", _images(noise)
    how = f"95 %, paired bootstrap over the {noise.noun}s, all trials at once"
    if not noise.tied:
        return f"The {images} tell the best, {best}, from {_all_others(noise)} ({how})."
    count = len(noise.tied)
    which = "1 trial that" if count == 1 else f"{count} trials that"
    return f"≈ {which} {images} cannot tell from the best, {best} ({how}).{_needed(noise)}"


def _all_others(noise: Noise) -> str:
    others = len(noise.trials) - 1
    if noise.folds:
        return f"{'the other trial' if others == 1 else f'the {others} other trials'} with all folds"
    return "the other complete trial" if others == 1 else f"the {others} other complete trials"


def _images(noise: Noise) -> str:
    """What trials are judged by, in words."""
    if noise.folds:
        return f"{noise.images:,} {noise.noun}s, predicted out of fold,"
    return f"{noise.images:,} validation {noise.noun}s"


def _needed(noise: Noise) -> str:
    """What the closest and the farthest of the tied trials would take."""
    found = sorted((images, trial) for trial in noise.tied if (images := noise.needed[trial]) is not None)
    if not found:
        return f" They do not differ from it on the whole, so that no number of {noise.noun}s would."
    (fewest, farthest), (most, closest) = found[0], found[-1]
    if fewest == most:
        return f" Some {_rounded(most)} {noise.noun}s would, if trial {closest} stays as far from it."
    return (
        f" Some {_rounded(fewest)} {noise.noun}s would for trial {farthest}, {_rounded(most)} for trial "
        f"{closest}, if they stay as far from it."
    )


def _luck(noise: Noise) -> str:
    compared = len(noise.trials)
    if noise.in_points:
        points = 100 * noise.luck
        much = f"about {points:.1f} points" if points >= LEAST_POINTS else f"less than {LEAST_POINTS} points"
    else:
        much = f"about {noise.luck:.2g}"
    source = f"{noise.resamples:,} bootstraps over {_images(noise).removesuffix(',')}"
    if compared < noise.complete:
        every = "trials with all folds" if noise.folds else "complete trials"
        left_out = f"{noise.complete - compared:,} of {noise.complete:,} {every}"
        source += f"; {left_out}, without predictions or far behind, are not counted"
    if noise.pruned:
        were = "1 trial was" if noise.pruned == 1 else f"{noise.pruned:,} trials were"
        source += f"; the luck in not being pruned, as {were}, is not counted"
    return f"best of {compared}, {much} of it luck ({source})"


def _rounded(images: int) -> str:
    """A number of images with two digits that say something."""
    digits = max(0, len(str(images)) - 2)
    return f"{round(images, -digits):,}"
