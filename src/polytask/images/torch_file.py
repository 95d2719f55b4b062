"""Read tensors from a `.pt` file without torch. The small program inside such a file is read, never run.

`torch.save` writes a zip with raw numbers and a pickle that says which tensor lies where. Only the few opcodes that
such a pickle needs are understood here, and only the names that stand for tensors; everything else is refused. So a
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
from polytask.images.size_limits import check_byte_count
from polytask.images.volume import Array

STORAGE_TYPES = {
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
REBUILD_TENSOR, REBUILD_PARAMETER = "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"
ORDERED_DICT = "collections OrderedDict"
MAX_PICKLE_BYTES = 1 << 20
"""Most bytes of the pickle; one that names a few tensors needs far less."""
CONSTANT_OPCODES: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
MAX_OPCODES = 100_000
"""Most opcodes of the pickle; one that names a few tensors needs far fewer."""
MAX_TUPLE_VALUES = 1_000
"""Most values inside one tuple, nested tuples included. The tuple that describes a tensor has about 20."""
MAX_TENSOR_AXES = 16
LITERAL_OPCODES = ("BINUNICODE", "SHORT_BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")


@dataclass(frozen=True)
class GlobalName:
    """The name of a global (function or class) in the pickle; it is never looked up."""

    name: str


@dataclass(frozen=True)
class TensorStorage:
    """Raw numbers in one member of the zip, their type and how many there are."""

    member: str
    dtype: str
    numbers: int


@dataclass(frozen=True)
class StoredTensor:
    """The place of a tensor's numbers: a storage (zip member, type, count), and the tensor's view of it.

    Offset and strides count numbers, not bytes.
    """

    member: str
    dtype: str
    numbers: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class PickledTuple:
    """A tuple of the pickle; `weight` counts all values inside, repeated ones each time.

    A few hundred bytes can put one tuple twice into the next, and that one twice into the next, and so on. To hash or
    to print the last of them would never end, so their weight is limited.
    """

    items: tuple[Any, ...]
    weight: int


class _UnexpectedContent(Exception):
    """Raised for content that the pickle of a bag does not need; the message says what it is."""


def read_torch_file(path: Path) -> dict[str, Array]:
    """Read the tensors of a `.pt` file: name → array. A file that holds just one tensor gives it as `features`."""
    try:
        with zipfile.ZipFile(path) as archive:
            content = _interpret_pickle(archive, _read_pickle(archive))
            content = {"features": content} if isinstance(content, StoredTensor) else content
            if not isinstance(content, dict):
                raise _UnexpectedContent("holds neither a tensor nor names with tensors")
            named = {str(k): v for k, v in content.items() if isinstance(v, StoredTensor)}
            return {name: _read_tensor(path, archive, tensor) for name, tensor in named.items()}
    except _UnexpectedContent as odd:
        problem = str(odd)
    except zipfile.BadZipFile:
        problem = "was not written by torch.save of torch 1.6 or later"
    except (PolytaskError, OSError):
        raise
    except Exception:  # a damaged file leads its parser to any error at all
        problem = "is damaged"
    raise PolytaskError(
        f"{path}: {problem}; expected a tensor, or a dict with the tensor `features`; save it again with "
        "torch.save({'features': x, 'coords': xy}, path)"
    )


def _read_pickle(archive: zipfile.ZipFile) -> bytes:
    """Read the pickle of the archive as bytes, after a check of its size."""
    names = [n for n in archive.namelist() if n.endswith("/data.pkl") and n.count("/") == 1]
    if len(names) != 1:
        raise _UnexpectedContent("was not written by torch.save of torch 1.6 or later")
    if archive.getinfo(names[0]).file_size > MAX_PICKLE_BYTES:
        raise _UnexpectedContent("holds more than a few tensors")
    return archive.read(names[0])


def _interpret_pickle(archive: zipfile.ZipFile, program: bytes) -> Any:
    """Go through the opcodes with a stack and a memo, as pickle itself would, but without calling anything.

    Returns:
        what the pickle describes: a `StoredTensor`, a dict of them, or something that the caller refuses.
    """
    root = archive.namelist()[0].partition("/")[0]
    machine = _PickleMachine(root)
    for step, (opcode, argument, _) in enumerate(pickletools.genops(program)):
        if step > MAX_OPCODES:
            raise _UnexpectedContent("holds more than a few tensors")
        if opcode.name == "STOP":
            return machine.stack.pop()
        known = machine.push_value(opcode.name, argument) or machine.use_memory(opcode.name, argument)
        if not known and not machine.build(opcode.name):
            raise _UnexpectedContent(f"holds more than tensors ({opcode.name.lower()}); no code was run")
    raise _UnexpectedContent("is damaged")


class _PickleMachine:
    """Holds the stack, the marks in it and the memo of one pickle. Each method tells whether it knows the opcode.

    Args:
        root: folder of the archive in which the numbers lie.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[Any, Any] = {}

    def push_value(self, name: str, argument: Any) -> bool:
        """Push what an opcode stands for by itself: a word, a number, an empty container or a known name."""
        match name:
            case "PROTO" | "FRAME":
                pass
            case name if name in LITERAL_OPCODES:
                self.stack.append(argument)
            case name if name in CONSTANT_OPCODES:
                self.stack.append(CONSTANT_OPCODES[name])
            case "EMPTY_DICT":
                self.stack.append({})
            case "EMPTY_TUPLE":
                self.stack.append(_make_pickled_tuple([]))
            # A name is only compared with a list. Importing what a file names is how pickles run code.
            case "GLOBAL" if argument in (*STORAGE_TYPES, REBUILD_TENSOR, REBUILD_PARAMETER, ORDERED_DICT):
                self.stack.append(GlobalName(argument))
            case "GLOBAL":
                raise _UnexpectedContent(
                    f"names {str(argument).replace(' ', '.')}, which a file of features does not need; no code was run"
                )
            case _:
                return False
        return True

    def use_memory(self, name: str, argument: Any) -> bool:
        """Keep the top of the stack for later, bring back what was kept, or mark a place in the stack."""
        match name:
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = self.stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = self.stack[-1]
            case "BINGET" | "LONG_BINGET":
                self.stack.append(self.memo[argument])
            case "MARK":
                self.marks.append(len(self.stack))
            case _:
                return False
        return True

    def build(self, name: str) -> bool:
        """Make a tuple, an entry, a storage or a tensor of what lies on the stack."""
        match name:
            case "TUPLE":
                self.stack.append(_make_pickled_tuple(self._take_from(self.marks.pop())))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self.stack.append(_make_pickled_tuple(self._take_from(-int(name[-1]))))
            case "SETITEM":
                value, key = self.stack.pop(), self.stack.pop()
                _put_entry(self.stack[-1], key, value)
            case "SETITEMS":
                items = self._take_from(self.marks.pop())
                for key, value in zip(items[::2], items[1::2], strict=True):
                    _put_entry(self.stack[-1], key, value)
            case "BINPERSID":
                self.stack.append(_resolve_storage(self.root, self.stack.pop()))
            case "REDUCE":
                given, what = self.stack.pop(), self.stack.pop()
                self.stack.append(_resolve_call(what, given))
            case _:
                return False
        return True

    def _take_from(self, start: int) -> list[Any]:
        """Take all from one place of the stack on."""
        taken = self.stack[start:]
        del self.stack[start:]
        return taken


def _make_pickled_tuple(items: list[Any]) -> PickledTuple:
    """Make a tuple of these items, and refuse one that holds too many values through all levels."""
    weight = 1 + sum(item.weight if isinstance(item, PickledTuple) else 1 for item in items)
    if weight > MAX_TUPLE_VALUES:
        raise _UnexpectedContent("holds more than tensors (tuples inside each other)")
    return PickledTuple(tuple(items), weight)


def _put_entry(mapping: Any, key: Any, value: Any) -> None:
    """Put one entry into a mapping of the pickle; its key must be a word or a number."""
    if not isinstance(mapping, dict) or not isinstance(key, str | int):
        raise _UnexpectedContent("holds more than names with tensors")
    mapping[key] = value


def _resolve_storage(root: str, named: Any) -> TensorStorage:
    """Read a persistent id of torch, ("storage", type, key, device, count), as the place of a tensor's numbers."""
    kind, storage, key, _, numbers = named.items
    if kind != "storage" or not isinstance(storage, GlobalName) or not isinstance(key, str):
        raise _UnexpectedContent("names something that is no storage")
    return TensorStorage(f"{root}/data/{key}", STORAGE_TYPES[storage.name], int(numbers))


def _resolve_call(function: Any, arguments: Any) -> Any:
    """Say what a call of a known function would return, without calling it; any other call is refused."""
    if not isinstance(function, GlobalName) or not isinstance(arguments, PickledTuple):
        raise _UnexpectedContent("calls something that makes no tensor; no code was run")
    if function.name == ORDERED_DICT:
        return {}
    if function.name == REBUILD_PARAMETER:
        return arguments.items[0]
    if function.name == REBUILD_TENSOR:
        storage, offset, shape, strides = arguments.items[:4]
        if (
            not isinstance(storage, TensorStorage)
            or max(len(shape.items), len(strides.items)) > MAX_TENSOR_AXES
        ):
            raise _UnexpectedContent("is damaged")
        sizes, steps = tuple(map(int, shape.items)), tuple(map(int, strides.items))
        return StoredTensor(storage.member, storage.dtype, storage.numbers, int(offset), sizes, steps)
    raise _UnexpectedContent("calls something that makes no tensor; no code was run")


def _read_tensor(path: Path, archive: zipfile.ZipFile, tensor: StoredTensor) -> Array:
    """Read the numbers of a tensor, after all checks of its size and view; bf16 becomes float32."""
    kind = np.dtype("<u2" if tensor.dtype == "bf16" else tensor.dtype)
    info = archive.getinfo(tensor.member)
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    if min(tensor.shape, default=0) < 0:
        raise _UnexpectedContent("is damaged")
    # `as_strided` below checks nothing: a false offset or stride would read foreign memory.
    if math.prod(tensor.shape) and not (
        min((0, tensor.offset, *tensor.strides)) == 0 and last < tensor.numbers
    ):
        raise _UnexpectedContent("is damaged")
    if info.compress_type != zipfile.ZIP_STORED or info.file_size < tensor.numbers * kind.itemsize:
        raise _UnexpectedContent("is damaged")
    check_byte_count(path, math.prod(tensor.shape) * (4 if tensor.dtype == "bf16" else kind.itemsize))
    if math.prod(tensor.shape) > tensor.numbers:
        raise _UnexpectedContent("holds a tensor that repeats its numbers")
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, kind)
    flat = np.frombuffer(archive.read(tensor.member), kind, tensor.numbers)
    view = np.lib.stride_tricks.as_strided(
        flat[tensor.offset :], tensor.shape, [s * kind.itemsize for s in tensor.strides], writeable=False
    )
    # bf16 is the upper half of a float32.
    if tensor.dtype == "bf16":
        return (view.astype(np.uint32) << 16).view(np.float32)
    return np.ascontiguousarray(view)
