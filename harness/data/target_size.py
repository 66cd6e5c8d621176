"""To which size and channels the images of a source are brought."""

from __future__ import annotations

from collections import Counter

from harness.data.source import ImageFiles
from harness.errors import DataError
from harness.experiment.dataset_config import DatasetConfig

SAMPLE = 2000
"""Headers read to find the commonest size and whether there is colour."""


def target_size(
    source: ImageFiles, config: DatasetConfig, sample: int = SAMPLE
) -> tuple[tuple[int, int], int]:
    """Height and width, and channels: as the configuration says, or else the commonest of the files.

    Args:
        source: the files.
        config: what is wanted.
        sample: about so many files are looked at.

    Raises:
        DataError: none of the files can be read.
    """
    from harness.data.clips import clip_header
    from harness.data.decode import Header, UnreadableError, read_header

    read = clip_header if config.frames else read_header
    headers: list[Header] = []
    if config.image_size is None or config.color == "auto":
        reason = ""
        for file in source.files[:: max(1, len(source.files) // sample)]:
            try:
                headers.append(read(file.path.read_bytes(), config.max_pixels))
            except (UnreadableError, OSError) as error:
                reason = reason or f"{file.path}: {error}"
        if not headers:
            raise DataError(f"None of the {config.noun}s of {source.name} can be read. The first: {reason}.")
    channels = {"grey": 1, "rgb": 3}.get(config.color) or (1 if all(h.grey for h in headers) else 3)
    if isinstance(config.image_size, int):
        return (config.image_size, config.image_size), channels
    if config.image_size is not None:
        return config.image_size, channels
    height, width = Counter((h.height, h.width) for h in headers).most_common(1)[0][0]
    scale = min(1.0, config.longest_side / max(height, width))
    return (max(2, round(height * scale)), max(2, round(width * scale))), channels
