"""Writes and reads what runs know about ordinary inputs: a part of `trust.json`, and the tensors beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polytask.array_types import Floats
from polytask.errors import PolytaskError
from polytask.predict.promise_tensors import TENSORS_FILE
from polytask.trust.inputs.input_trust import InputCheck, InputMember, InputTrust, SeedReference
from polytask.trust.inputs.quantity_ranges import QuantityRange
from polytask.trust.inputs.trunk_reference import TrunkReference


def describe_inputs(trust: InputTrust) -> dict[str, Any]:
    """Return all but the tensors as plain data."""
    return {
        "false_alarms": trust.false_alarms,
        "visits": list(trust.visits),
        "measures": [list(m) for m in trust.measures],
        "members": [_describe_member(m) for m in trust.members],
        "without": trust.without,
        "cap": trust.cap,
        "seed": trust.seed,
    }


def list_input_tensors(trust: InputTrust) -> dict[str, Tensor]:
    """List the tensors: `MEMBER/held_out`, and `MEMBER/SEED/IMAGE` with the features of training images."""
    tensors = {}
    for k, member in enumerate(trust.members):
        tensors[f"{k}/held_out"] = torch.from_numpy(member.held_out)
        for i, reference in enumerate(member.seeds):
            for image, own in reference.images.items():
                tensors[f"{k}/{i}/{image}"] = torch.from_numpy(own.vectors.astype(np.float32))
    return tensors


def parse_inputs(content: Mapping[str, Any], tensors: Mapping[str, Tensor], folder: Path) -> InputTrust:
    """Parse the part of `trust.json`; `tensors` are those beside it, `folder` is named in errors."""
    try:
        measures = tuple((str(a), str(b)) for a, b in content["measures"])
        visits = tuple(map(str, content["visits"]))
        shape = len(visits), len(measures)
        members = tuple(_parse_member(k, own, tensors, shape) for k, own in enumerate(content["members"]))
        return InputTrust(
            float(content["false_alarms"]),
            visits,
            measures,
            members,
            dict(content["without"]),
            int(content["cap"]),
            int(content["seed"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        line = " ".join(str(error).split())[:160]
        raise PolytaskError(
            f"{folder / TENSORS_FILE}: does not fit trust.json ({line}); run `polytask trust` again"
        ) from None


def _describe_member(member: InputMember) -> dict[str, Any]:
    return {
        "fold": member.fold,
        "trained": member.trained,
        "seeds": [
            {
                "seed": reference.seed,
                "images": {
                    image: {
                        "classes": {task: own_classes.tolist() for task, own_classes in own.classes.items()},
                        "shrinkages": own.shrinkages,
                    }
                    for image, own in reference.images.items()
                },
            }
            for reference in member.seeds
        ],
        "ranges": {
            name: {word: [own.low, own.high, own.spread] for word, own in ranges.items()}
            for name, ranges in member.ranges.items()
        },
        "check": member.check and asdict(member.check),
    }


def _parse_member(
    number: int, entry: Mapping[str, Any], tensors: Mapping[str, Tensor], shape: tuple[int, int]
) -> InputMember:
    seeds = tuple(
        SeedReference(
            int(own["seed"]),
            {
                str(image): _parse_reference(fields, tensors[f"{number}/{i}/{image}"])
                for image, fields in own["images"].items()
            },
        )
        for i, own in enumerate(entry["seeds"])
    )
    ranges = {
        str(name): {str(word): QuantityRange(*map(float, three)) for word, three in own.items()}
        for name, own in entry["ranges"].items()
    }
    held_out = _read_floats(tensors[f"{number}/held_out"])
    if held_out.shape[1:] != shape:
        raise ValueError("measures of another number of visits or inputs")
    check = entry["check"]
    parsed = check and InputCheck(
        {str(name): (float(mean), float(sd)) for name, (mean, sd) in check["alarms"].items()}, int(check["n"])
    )
    return InputMember(int(entry["fold"]), seeds, ranges, held_out, int(entry["trained"]), parsed)


def _parse_reference(fields: Mapping[str, Any], vectors: Tensor) -> TrunkReference:
    classes = {str(task): np.array(own, np.int64) for task, own in fields["classes"].items()}
    shrinkages = {str(task): float(own) for task, own in fields["shrinkages"].items()}
    if vectors.ndim != 2 or not bool(torch.isfinite(vectors).all()) or set(shrinkages) != {"", *classes}:
        raise ValueError("features of another form")
    if any(len(own) != len(vectors) for own in classes.values()) or not all(
        0 <= s <= 1 for s in shrinkages.values()
    ):
        raise ValueError("classes of other images")
    return TrunkReference(_read_floats(vectors), classes, shrinkages)


def _read_floats(tensor: Tensor) -> Floats:
    return np.asarray(tensor.numpy(), dtype=np.float64)
