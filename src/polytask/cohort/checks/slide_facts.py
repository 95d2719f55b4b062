"""Read a slide or a bag of features once and keep the facts that the checks need."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polytask.cohort.input_specs import SlideInput
from polytask.errors import PolytaskError
from polytask.images.bag_files import read_bag
from polytask.images.slide_patches import MIN_TISSUE_SHARE, PatchSpec, find_tissue_patches
from polytask.images.slides import open_slide

SLIDE_DIGEST_BYTES = 1 << 20
"""Bytes at each end of a slide that are hashed in place of its whole content: slides are too large to read for that."""


@dataclass(frozen=True)
class SlideFacts:
    """Facts of one slide or bag of features.

    Args:
        patches: number of patches with enough tissue; for a bag, its number of rows.
        width: number of features per patch; 0 for a slide of pixels.
        digest: hash of the content.
    """

    patches: int
    width: int
    digest: str


def make_slide_cut(spec: SlideInput) -> PatchSpec:
    """Translate the header entry of a slide input into the cut of its patches."""
    return PatchSpec(spec.patch, spec.resolution, spec.downsample, MIN_TISSUE_SHARE)


def inspect_slide(path: Path, spec: SlideInput) -> SlideFacts | str:
    """Read a slide or bag as its header entry says; returns its facts, or one line why not ("" = no such file)."""
    if not path.exists():
        return ""
    try:
        if spec.features is None:
            with open_slide(path) as slide:
                return SlideFacts(
                    len(find_tissue_patches(slide, make_slide_cut(spec))), 0, _hash_slide_ends(path)
                )
        features = read_bag(path).features
        digest = hashlib.blake2b(np.ascontiguousarray(features).data, digest_size=16).hexdigest()
        return SlideFacts(features.shape[0], features.shape[1], digest)
    except PolytaskError as error:
        return str(error).removeprefix(f"{path}: ")
    except (OSError, ValueError, MemoryError) as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]


def _hash_slide_ends(path: Path) -> str:
    """Hash the size of a file and the bytes at both of its ends."""
    size = path.stat().st_size
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    with path.open("rb") as file:
        digest.update(file.read(SLIDE_DIGEST_BYTES))
        file.seek(max(0, size - SLIDE_DIGEST_BYTES))
        digest.update(file.read(SLIDE_DIGEST_BYTES))
    return digest.hexdigest()
