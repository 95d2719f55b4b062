"""The decoders of voxel tasks: of one task, or of all tasks of an image with attention per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from polytask.model.attention_decoder import AttentionDecoder
from polytask.model.building_blocks import Decoder, EncoderSpec
from polytask.model.mtan_decoder import MtanDecoder

CommonDecoder = AttentionDecoder | MtanDecoder
VoxelDecoder = Decoder | CommonDecoder
COMMON_DECODERS: dict[str, type[AttentionDecoder] | type[MtanDecoder]] = {
    "attention": AttentionDecoder,
    "mtan": MtanDecoder,
}
"""`model.decoder` → the class."""


def make_decoder(kind: str, image: EncoderSpec, users: Sequence[str], levels: int) -> VoxelDecoder:
    """Make the decoder that voxel tasks of an image use; `kind` is `model.decoder`, `levels` those that have a head."""
    if kind in COMMON_DECODERS:
        return COMMON_DECODERS[kind](image.dims, image.widths, users, levels, image.kernels)
    return Decoder(image.dims, image.widths, levels, image.kernels)


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
