"""What one image costs on its way through the layers that several families have in common."""

from __future__ import annotations

from harness.model.families.parameters import MAX_FILTERS


def stacked_convolutions(
    image_shape: tuple[int, int, int], filters: int, side: int, layers: list[int]
) -> float:
    """Multiply-adds of blocks of convolutions; after each block the size halves and the filters double.

    Args:
        image_shape: height, width, channels.
        filters: of the first block.
        side: of the kernels.
        layers: convolutions in each block.
    """
    height, width, before = image_shape
    total = 0.0
    for convolutions in layers:
        for _ in range(convolutions):
            total += height * width * side**2 * before * filters
            before = filters
        if min(height, width) >= 4:
            height, width, filters = height // 2, width // 2, min(2 * filters, MAX_FILTERS)
    return total
