"""An exported model whose description somebody changed and sealed again: every field, in many ways."""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polytask.predict.seal import SEAL_KEY, compute_seal

VALUES: list[Any] = [
    None,
    -1,
    0,
    10**9,
    1e29,
    -2.5,
    "x",
    "",
    "../../x",
    [],
    {},
    True,
    [None],
    [10**9] * 3,
    {"x": 1},
    1e-30,
]
LEFT_OUT, RAW_NAN = object(), "\x00nan"


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key, and the first entry of every list."""
    entries = (
        value.items()
        if isinstance(value, dict)
        else list(enumerate(value))[:1]
        if isinstance(value, list)
        else []
    )
    for key, inner in entries:
        yield (*place, key)
        yield from places(inner, (*place, key))


def mutations(described: dict[str, Any], each: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """(what was done, the description): of every place, `each` of the ways, other ones at other places."""
    ways = [*VALUES, LEFT_OUT, RAW_NAN]
    for place in places({k: v for k, v in described.items() if k != SEAL_KEY}):
        start = zlib.crc32(repr(place).encode())
        for k in range(each):
            way = ways[(start + k * 5) % len(ways)]
            changed = copy.deepcopy(described)
            inner = changed
            for key in place[:-1]:
                inner = inner[key]
            if way is LEFT_OUT:
                del inner[place[-1]]
            else:
                inner[place[-1]] = way
            if way is not LEFT_OUT and inner[place[-1]] == _at(described, place):
                continue
            name = "left out" if way is LEFT_OUT else "NaN" if way == RAW_NAN else repr(way)
            yield f"{'.'.join(map(str, place))}: {name}", changed
    for place in [(), ("plan",), ("plan", "shared"), ("header",), ("members", 0)]:
        changed = copy.deepcopy(described)
        _at(changed, place)["surplus"] = 1
        yield f"{place}: surplus", changed


def _at(described: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        described = described[key]
    return described


def write_sealed(folder: Path, described: dict[str, Any]) -> None:
    """`model.json` with the seal of what it says now; a NaN stands there as Python would write it."""
    described = {k: v for k, v in described.items() if k != SEAL_KEY}
    described[SEAL_KEY] = compute_seal(described)
    text = json.dumps(described).replace(json.dumps(RAW_NAN), "NaN")
    (folder / "model.json").write_text(text, encoding="utf-8")
