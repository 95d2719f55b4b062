"""Writes files that are complete or do not exist: atomic writes of tensors and folders."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from polytask.errors import PolytaskError
from polytask.leftovers import restore_folder


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


def replace_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a new folder, then put it in the place of the old one.

    A crash leaves the old folder or the new one, never a half: `find_existing_folder` finds whichever is there.
    """
    new, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    restore_folder(
        folder
    )  # after a crash the old one may be all there is: it is not removed before the new one is whole
    try:
        new.mkdir(parents=True)
        fill(new)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    # No system renames a folder onto a full one: the old folder steps aside first.
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def find_existing_folder(folder: Path) -> Path | None:
    """Return the folder, or the old one if a crash came between the two renames of `replace_folder`."""
    old = folder.with_name(folder.name + ".old")
    if folder.exists():
        return folder
    return old if old.exists() else None


def sha256(path: Path) -> str:
    """Compute the SHA-256 hash of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
