"""How voxel tasks are decoded: each alone, all of an image together, or with exchange between them; one registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from polytask.errors import PolytaskError, suggest_word
from polytask.model.attention_decoder import AttentionDecoder
from polytask.model.building_blocks import Decoder, EncoderSpec
from polytask.model.mtan_decoder import MtanDecoder
from polytask.model.padnet_decoder import PadnetDecoder

CommonDecoder = AttentionDecoder | MtanDecoder | PadnetDecoder
"""Decodes several tasks at once: the answer of one depends on the maps of the others."""
VoxelDecoder = Decoder | CommonDecoder


@dataclass(frozen=True)
class DecoderKind:
    """One way to decode the voxel tasks of an image.

    Args:
        name: what it is, in one line.
        together: whether the voxel tasks of an image use one decoder.
        common: the class for tasks that are decoded at once; None where a decoder knows nothing of tasks.
        least_tasks: with fewer tasks on an image than this, each has a plain decoder.
        reads_unmasked: whether it reads the maps of the common encoder, before the task masks them.
    """

    name: str
    together: bool
    common: Callable[..., CommonDecoder] | None = None
    least_tasks: int = 1
    reads_unmasked: bool = False


DECODERS: dict[str, DecoderKind] = {
    "private": DecoderKind("a decoder for each voxel task", together=False),
    "shared": DecoderKind("one decoder for all voxel tasks of an image", together=True),
    "attention": DecoderKind(
        "one decoder on the mean of the tasks' maps, with a light mask per task at every level",
        together=True,
        common=AttentionDecoder,
    ),
    "mtan": DecoderKind(
        "one decoder on the maps of the common encoder, with full masks per task (MTAN, Liu, CVPR 2019)",
        together=True,
        common=MtanDecoder,
        reads_unmasked=True,
    ),
    "padnet": DecoderKind(
        "a decoder per task with a first answer; gated messages between tasks before the last (PAD-Net, Xu, CVPR 2018)",
        together=True,
        common=PadnetDecoder,
        least_tasks=2,
    ),
}
"""`model.decoder` → how it decodes."""


def find_decoder_kind(kind: str) -> DecoderKind:
    """Find a way to decode by its name."""
    if kind not in DECODERS:
        raise PolytaskError(f"model.decoder: {kind!r}: {suggest_word(kind, DECODERS, 'choose from')}")
    return DECODERS[kind]


def decodes_at_once(kind: str) -> bool:
    """Whether the answer of a voxel task depends on the maps of the other voxel tasks of its image."""
    return find_decoder_kind(kind).common is not None


def make_decoder(kind: str, image: EncoderSpec, users: Sequence[str], levels: int) -> VoxelDecoder:
    """Make the decoder that voxel tasks of an image use; `kind` is `model.decoder`, `levels` those that have a head."""
    chosen = find_decoder_kind(kind)
    if chosen.common is None or len(users) < chosen.least_tasks:
        return Decoder(image.dims, image.widths, levels, image.kernels)
    return chosen.common(image.dims, image.widths, users, levels, image.kernels)


def describe_maps(decoder: VoxelDecoder, image: EncoderSpec, levels: int) -> tuple[tuple[int, ...], int]:
    """Return the channels of the maps that a decoder gives for a task, finest first, and how many maps get a loss if
    one of single voxels comes on top: `levels`, but first answers of PAD-Net always get one."""
    if isinstance(decoder, PadnetDecoder):
        return decoder.widths, max(levels, 1 + decoder.least_outputs)
    return image.widths[: decoder.outputs], levels


def decode_tasks(
    decoder: CommonDecoder,
    pyramids: Mapping[str, Sequence[Tensor | None]],
    shared: Mapping[str, Sequence[Tensor | None]],
) -> dict[str, list[Tensor]]:
    """Decode the pyramids of tasks to their maps, finest first; `shared` are the maps before the masks of a task."""
    decoded: dict[str, list[Tensor]] = (
        decoder(pyramids, shared) if isinstance(decoder, MtanDecoder) else decoder(pyramids)
    )
    return decoded
