"""Counts what the stages of a Swin-like encoder cost, from the layers of `polytask.model.swin_stage`."""

from __future__ import annotations

BLOCKS_PER_PAIR = 2
"""Transformer blocks that stand for one residual block of a stage: one with plain and one with shifted windows."""
NUMBERS_PER_TOKEN = 18
"""Tensors of a transformer block that are kept, in channels per token: two norms, three sums with position codes
or without, query, key, value, what attention read, and the feed-forward part four times as wide."""
WEIGHTS_PER_BLOCK = 12
"""Weights of a transformer block, in squares of its channels: query, key, value, output, and 2 × 4 feed forward."""
WINDOW_POSITIONS = 64
"""Positions of a window that a position reads, as in `polytask.model.swin_stage`."""


def count_swin_numbers(voxels: float, width: int, blocks: int) -> float:
    """Count the numbers that autograd keeps of a stage with this many positions, in front of each: the input of its
    norm, its transformer blocks, and the map that others read."""
    return voxels * width * (2 + BLOCKS_PER_PAIR * NUMBERS_PER_TOKEN * blocks)


def count_swin_weights(inputs: int, width: int, patch: int, blocks: int) -> int:
    """Count the weights of a stage whose patches have `patch` positions."""
    return inputs * width * patch + BLOCKS_PER_PAIR * blocks * WEIGHTS_PER_BLOCK * width**2


def count_swin_flops(voxels: float, inputs: int, width: int, patch: int, blocks: int) -> float:
    """Count the FLOP of a forward pass of a stage: its weights at each position, and the products of attention."""
    attention = BLOCKS_PER_PAIR * blocks * 2 * WINDOW_POSITIONS * width
    return 2 * voxels * (count_swin_weights(inputs, width, patch, blocks) + attention)
