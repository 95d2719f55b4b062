"""Files that are whole or not there: atomic writes of tensors and folders."""

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
    """Safetensors on the CPU, with the mode of any new file: the library alone lets nobody but the owner read it."""
    try:
        path.open("wb").close()
        mode = stat.S_IMODE(path.stat().st_mode)
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, path)
        path.chmod(mode)
    except SafetensorError as error:  # it wraps what the system said
        code = errno.ENOSPC if "os error 28" in str(error) else errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from None


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Safetensors, with a clear error when the file is damaged."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise PolytaskError(
            f"{path}: not a readable weight file ({error}); train again or restore it"
        ) from None


def replace_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a new folder, then put it in the place of the old one. A crash leaves the old or the new, never half:
    `existing_folder` finds whichever is there."""
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
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def existing_folder(folder: Path) -> Path | None:
    """The folder, or the old one when a crash came between the two renames of `replace_folder`."""
    old = folder.with_name(folder.name + ".old")
    if folder.exists():
        return folder
    return old if old.exists() else None


def sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
