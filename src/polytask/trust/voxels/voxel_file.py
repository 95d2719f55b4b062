"""Promises about voxel tasks as plain data, for `trust.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from polytask.array_types import NAN, Floats
from polytask.evaluation.structure_curves import THRESHOLDS
from polytask.trust.fit_task import Spread
from polytask.trust.voxels.field_trust import FieldCheck, FieldTrust
from polytask.trust.voxels.fit_voxels import VoxelTrust
from polytask.trust.voxels.structure_trust import DRAWN, EMPTY, StructureCheck, StructureTrust, choose_steps


def describe_voxels(own: VoxelTrust, alpha: float) -> dict[str, Any]:
    """Return what is promised about a task as plain data; `thresholds` are for readers, they follow from the rest."""
    return {
        "structures": {
            name: {
                "thresholds": _list_thresholds(members, alpha),
                "members": [_describe_structure(member) for member in members],
            }
            for name, members in own.structures.items()
        },
        "fields": [asdict(member) | {"scores": member.scores.tolist()} for member in own.fields],
        "unit": own.unit,
    }


def _list_thresholds(members: tuple[StructureTrust, ...], alpha: float) -> dict[str, float]:
    """List the probability from which a voxel belongs to the mask of each promise; 0: everything."""
    steps = dict(zip(("mean", "patient"), choose_steps(members, alpha), strict=True))
    return {name: 0.0 if step is None else float(THRESHOLDS[step]) for name, step in steps.items()}


def _describe_structure(member: StructureTrust) -> dict[str, Any]:
    return asdict(member) | {
        "missed": member.missed.tolist(),
        "reached": member.reached.tolist(),
        "volumes": {stratum: scores.tolist() for stratum, scores in member.volumes.items()},
        "absent": member.absent.tolist(),
    }


def parse_voxels(entry: Mapping[str, Any]) -> VoxelTrust:
    """Parse what is promised about a task; raises what a wrong document raises."""
    return VoxelTrust(
        {
            str(name): tuple(_parse_structure(member) for member in own["members"])
            for name, own in entry["structures"].items()
        },
        tuple(_parse_field(member) for member in entry["fields"]),
        str(entry["unit"]),
    )


def _parse_structure(entry: Mapping[str, Any]) -> StructureTrust:
    missed, reached = _parse_numbers(entry["missed"]), np.array(entry["reached"], dtype=np.int64)
    present, steps = int(entry["present"]), len(THRESHOLDS)
    if len(missed) != steps or len(reached) != present or (reached < 0).any() or (reached > steps).any():
        raise ValueError(f"masks of other steps than {steps}")
    volumes = {stratum: _parse_numbers(entry["volumes"][stratum]) for stratum in (DRAWN, EMPTY)}
    check = entry["check"]
    absent = _parse_numbers(entry["absent"])
    return StructureTrust(missed, present, reached, volumes, absent, check and _parse_structure_check(check))


def _parse_structure_check(entry: Mapping[str, Any]) -> StructureCheck:
    inside, patients = (tuple(parse_spread(s) for s in entry[key]) for key in ("inside", "patients"))
    added, endless = (tuple(entry[key]) for key in ("added", "endless"))
    return StructureCheck(
        (inside[0], inside[1], inside[2]),
        (patients[0], patients[1], patients[2]),
        (parse_spread(added[0]), parse_spread(added[1])),
        (float(endless[0]), float(endless[1])),
        volumes=parse_spread(entry["volumes"]),
        factor=parse_spread(entry["factor"]),
        false_alarms=parse_spread(entry["false_alarms"]),
        seen=parse_spread(entry["seen"]),
        present=int(entry["present"]),
        absent=int(entry["absent"]),
        subjects=int(entry["subjects"]),
    )


def _parse_field(entry: Mapping[str, Any]) -> FieldTrust:
    check = entry["check"]
    return FieldTrust(
        _parse_numbers(entry["scores"]),
        check
        and FieldCheck(
            parse_spread(check["patients"]),
            parse_spread(check["reach"]),
            float(check["endless"]),
            int(check["n"]),
            int(check["subjects"]),
        ),
    )


def parse_spread(entry: Mapping[str, Any]) -> Spread:
    """Parse a mean and its standard deviation; null is NaN."""
    return Spread(*(NAN if entry[key] is None else float(entry[key]) for key in ("mean", "sd")))


def _parse_numbers(values: Any) -> Floats:
    return np.array([NAN if v is None else v for v in values], dtype=np.float64)
