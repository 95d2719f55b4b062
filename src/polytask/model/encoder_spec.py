"""The topology of an encoder, as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EncoderSpec:
    """Topology of the encoder of one image input.

    Args:
        dims: 2 or 3.
        planes: input planes (channels, plus a flag each where channels may be missing).
        widths: channels per stage, finest first.
        blocks: residual blocks per stage.
        strides: stride at which each stage begins.
        kernels: kernel of each stage and of the decoder level beside it; () = 3 along every axis.
        slice_axis: axis of a volume along which 2D slices are read one by one; None = the image is read as it is.
        encoder: what the stages are made of, a name in `polytask.model.building_blocks.ENCODERS`.
    """

    dims: int
    planes: int
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...] = ()
    slice_axis: int | None = None
    encoder: str = "residual"

    @property
    def stage_kernels(self) -> tuple[tuple[int, ...], ...]:
        """Kernel of each stage, written out."""
        return self.kernels or ((3,) * self.dims,) * len(self.widths)
