"""Writes and reads tensors as safetensors files, and hashes files."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from polytask.errors import PolytaskError


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as a safetensors file, from the CPU, with the file mode of any new file.

    The library alone would make a file that only its owner can read.
    """
    try:
        path.open("wb").close()
        mode = stat.S_IMODE(path.stat().st_mode)
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, path)
        path.chmod(mode)
    except SafetensorError as error:  # it wraps what the system said
        code = errno.ENOSPC if "os error 28" in str(error) else errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from None


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file, with a clear error when it is damaged."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise PolytaskError(
            f"{path}: not a readable weight file ({error}); train again or restore it"
        ) from None


def sha256(path: Path) -> str:
    """Compute the SHA-256 hash of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
