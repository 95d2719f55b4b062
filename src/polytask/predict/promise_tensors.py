"""The tensors of what runs promise: they lie beside `trust.json`, which holds their hash under its own seal."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from polytask.errors import PolytaskError
from polytask.images.safe_files import write_atomically
from polytask.predict.promises import TRUST_FILE
from polytask.training.tensor_files import load_tensors, sha256

TENSORS_FILE = "trust.safetensors"
INPUTS_KEY = "inputs"
"""Key of `trust.json`: what is known about ordinary inputs; the only part with tensors."""
TENSORS_KEY = "tensors"
"""Key of that part: the sha256 of `TENSORS_FILE`."""


def find_promised_tensors(content: Mapping[str, Any], folder: Path) -> Path | None:
    """Find the file with the tensors of what runs promise; None where it needs none. One that is gone or was changed is
    refused."""
    part = content.get(INPUTS_KEY)
    if not isinstance(part, Mapping):
        return None
    path = folder / TENSORS_FILE
    if not path.exists() or sha256(path) != part.get(TENSORS_KEY):
        raise PolytaskError(
            f"{path}: not the file that {TRUST_FILE} was written with; run `polytask trust` again"
        )
    return path


def digest_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Compute the sha256 of the file that `write_promised_tensors` writes."""
    return hashlib.sha256(save(dict(tensors))).hexdigest()


def write_promised_tensors(tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Write the tensors of what runs promise, whole or not at all."""
    with write_atomically(folder / TENSORS_FILE) as stream:
        stream.write(save(dict(tensors)))


def read_promised_tensors(content: Mapping[str, Any], folder: Path) -> dict[str, Tensor]:
    """Read the tensors of what runs promise."""
    path = find_promised_tensors(content, folder)
    return load_tensors(path) if path else {}
