"""The decoders that the voxel tasks of an image have in common, with attention per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from polytask.model.attention_decoder import AttentionDecoder
from polytask.model.mtan_decoder import MtanDecoder

CommonDecoder = AttentionDecoder | MtanDecoder
COMMON_DECODERS: dict[str, type[AttentionDecoder] | type[MtanDecoder]] = {
    "attention": AttentionDecoder,
    "mtan": MtanDecoder,
}
"""`model.decoder` → the class."""


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
