"""Tensors out of a `.pt` file without torch: its little program is read, never run.

`torch.save` writes a zip with raw numbers and a pickle that says which tensor lies where. Only the dozen opcodes that
such a pickle needs are understood here, and only the names that stand for tensors; anything else is refused. So a
bag can be checked where torch is not loaded, its size is known before memory is taken, and no file can run code.
"""

from __future__ import annotations

import math
import pickletools
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.limits import check_bytes
from polytask.images.volume import Array

STORAGES = {
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch BFloat16Storage": "bf16",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2",
    "torch CharStorage": "|i1",
    "torch ByteStorage": "|u1",
}
TENSOR, PARAMETER = "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"
ORDERED = "collections OrderedDict"
PROGRAM_LIMIT = 1 << 20
"""Bytes a pickle that names a few tensors may have."""
CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
LITERALS = ("BINUNICODE", "SHORT_BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")


@dataclass(frozen=True)
class Name:
    """A global that is not looked up."""

    name: str


@dataclass(frozen=True)
class Tensor:
    """Where the numbers of a tensor lie: member of the zip, type, and the view on it."""

    member: str
    dtype: str
    numbers: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Odd(Exception):
    """What a bag's pickle does not need."""


def read_torch(path: Path) -> dict[str, Array]:
    """The tensors of a `.pt` file by name; a tensor alone is called `features`."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = _interpreted(archive, _program(archive))
            found = {"features": found} if isinstance(found, Tensor) else found
            if not isinstance(found, dict):
                raise _Odd("holds neither a tensor nor names with tensors")
            named = {str(k): v for k, v in found.items() if isinstance(v, Tensor)}
            return {name: _array(path, archive, tensor) for name, tensor in named.items()}
    except _Odd as odd:
        said = str(odd)
    except zipfile.BadZipFile:
        said = "is no file of torch.save from 1.6 on"
    except (PolytaskError, OSError):
        raise
    except Exception:  # a damaged file leads its parser to any error at all
        said = "is damaged"
    raise PolytaskError(
        f"{path}: {said}; expected a tensor, or a dict with the tensor `features`; save it again with "
        "torch.save({'features': x, 'coords': xy}, path)"
    )


def _program(archive: zipfile.ZipFile) -> bytes:
    names = [n for n in archive.namelist() if n.endswith("/data.pkl") and n.count("/") == 1]
    if len(names) != 1:
        raise _Odd("is no file of torch.save from 1.6 on")
    if archive.getinfo(names[0]).file_size > PROGRAM_LIMIT:
        raise _Odd("holds more than a few tensors")
    return archive.read(names[0])


def _interpreted(archive: zipfile.ZipFile, program: bytes) -> Any:
    """Walk through the opcodes with a stack and a memo, as the pickle machine would, but calling nothing."""
    root = archive.namelist()[0].partition("/")[0]
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}

    def since_mark() -> list[Any]:
        start = marks.pop()
        taken = stack[start:]
        del stack[start:]
        return taken

    for opcode, argument, _ in pickletools.genops(program):
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case name if name in LITERALS:
                stack.append(argument)
            case name if name in CONSTANTS:
                stack.append(CONSTANTS[name])
            case "EMPTY_DICT":
                stack.append({})
            case "GLOBAL" if argument in (*STORAGES, TENSOR, PARAMETER, ORDERED):
                stack.append(Name(argument))
            case "GLOBAL":
                raise _Odd(f"names {str(argument).replace(' ', '.')}, which no bag needs; nothing was run")
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "MARK":
                marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(opcode.name[-1])
                taken = tuple(stack[-count:])
                del stack[-count:]
                stack.append(taken)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                stack[-1][key] = value
            case "SETITEMS":
                items = since_mark()
                stack[-1].update(zip(items[::2], items[1::2], strict=True))
            case "BINPERSID":
                kind, storage, key, _, numbers = stack.pop()
                if kind != "storage" or not isinstance(storage, Name):
                    raise _Odd("names something that is no storage")
                stack.append((f"{root}/data/{key}", STORAGES[storage.name], int(numbers)))
            case "REDUCE":
                given, what = stack.pop(), stack.pop()
                stack.append(_made(what, given))
            case other:
                raise _Odd(f"holds more than tensors ({other.lower()}); nothing was run")
    raise _Odd("is damaged")


def _made(what: Any, given: tuple[Any, ...]) -> Any:
    """What a call of a known name stands for."""
    if what == Name(ORDERED):
        return {}
    if what == Name(PARAMETER):
        return given[0]
    if what == Name(TENSOR):
        (member, dtype, numbers), offset, shape, strides = given[:4]
        return Tensor(member, dtype, numbers, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))
    raise _Odd("calls something that makes no tensor; nothing was run")


def _array(path: Path, archive: zipfile.ZipFile, tensor: Tensor) -> Array:
    """The numbers, after the size check; bf16 becomes float32."""
    kind = np.dtype("<u2" if tensor.dtype == "bf16" else tensor.dtype)
    info = archive.getinfo(tensor.member)
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    if math.prod(tensor.shape) and not (
        min((0, tensor.offset, *tensor.strides)) == 0 and last < tensor.numbers
    ):
        raise _Odd("is damaged")
    if info.compress_type != zipfile.ZIP_STORED or info.file_size < tensor.numbers * kind.itemsize:
        raise _Odd("is damaged")
    check_bytes(path, math.prod(tensor.shape) * (4 if tensor.dtype == "bf16" else kind.itemsize))
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, kind)
    flat = np.frombuffer(archive.read(tensor.member), kind, tensor.numbers)
    view = np.lib.stride_tricks.as_strided(
        flat[tensor.offset :], tensor.shape, [s * kind.itemsize for s in tensor.strides], writeable=False
    )
    if tensor.dtype == "bf16":
        return (view.astype(np.uint32) << 16).view(np.float32)
    return np.ascontiguousarray(view)
