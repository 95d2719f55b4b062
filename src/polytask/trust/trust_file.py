"""Writes and reads `trust.json`: what runs promise, with the scores that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from polytask.array_types import NAN
from polytask.documents.document_errors import convert_content_errors
from polytask.plain import make_plain, write_plain_json
from polytask.predict.promise_tensors import (
    INPUTS_KEY,
    TENSORS_KEY,
    digest_tensors,
    read_promised_tensors,
    write_promised_tensors,
)
from polytask.predict.promises import TRUST_FILE, read_promises
from polytask.predict.seal import SEAL_KEY, compute_seal
from polytask.trust.calibrators import CALIBRATORS, Calibrator
from polytask.trust.fit_runs import RunsTrust, TrustMember
from polytask.trust.fit_task import Spread, TaskCheck, TaskTrust
from polytask.trust.group_coverage import parse_group_checks
from polytask.trust.implied_priors import parse_implied_priors
from polytask.trust.inputs.input_trust import InputTrust
from polytask.trust.inputs.inputs_file import describe_inputs, list_input_tensors, parse_inputs
from polytask.trust.measures.task_measures import describe_measures, parse_measures
from polytask.trust.spread_scale import parse_spread_scale
from polytask.trust.survival.survival_record import describe_survival, parse_survival
from polytask.trust.voxels.voxel_file import describe_voxels, parse_voxels

MEASURES_KEY = "measures"
"""Key of a task; files of earlier versions lack it."""


def describe_trust(trust: RunsTrust) -> dict[str, Any]:
    """Return everything as plain data, with a seal over it."""
    content: dict[str, Any] = make_plain(
        {
            "polytask": 1,
            "level": trust.level,
            "members": [asdict(m) for m in trust.members],
            "tasks": {
                name: {"words": trust.words[name], "members": [_describe_task(own) for own in by_member]}
                | _describe_measures(trust, name)
                for name, by_member in trust.tasks.items()
            },
            "without": trust.without,
            "tta": trust.tta,
            "given": trust.given,
            INPUTS_KEY: trust.inputs and _describe_inputs(trust.inputs),
            "voxels": {name: describe_voxels(own, 1 - trust.level) for name, own in trust.voxels.items()},
            "times": {name: describe_survival(own) for name, own in trust.survival.items()},
        }
    )
    return content | {SEAL_KEY: compute_seal(content)}


def write_trust(trust: RunsTrust, folder: Path) -> Path:
    """Write `trust.json` into a folder, whole or not at all; before it, `trust.safetensors` where it has tensors."""
    path = folder / TRUST_FILE
    if trust.inputs is not None:
        write_promised_tensors(list_input_tensors(trust.inputs), folder)
    write_plain_json(path, describe_trust(trust))
    return path


def read_trust(path: Path) -> RunsTrust:
    """Read `trust.json`, whose seal must be whole."""
    return parse_trust(read_promises(path), path)


def parse_trust(content: Mapping[str, Any], place: Path, folder: Path | None = None) -> RunsTrust:
    """Parse the content of `trust.json`; `place` is where it was read, for messages. Its tensors lie in `folder`,
    by default beside it."""
    with convert_content_errors(place, "what runs promise", "run `polytask trust` again"):
        members = tuple(
            TrustMember(int(m["fold"]), tuple(m["runs"]), dict(m["weights"])) for m in content["members"]
        )
        tasks = {
            str(name): tuple(_parse_task(own) for own in entry["members"])
            for name, entry in content["tasks"].items()
        }
        words = {str(name): tuple(entry["words"]) for name, entry in content["tasks"].items()}
        level, without, tta = float(content["level"]), dict(content["without"]), bool(content["tta"])
        measured = {
            str(n): parse_measures(e[MEASURES_KEY]) for n, e in content["tasks"].items() if MEASURES_KEY in e
        }
        # Files of earlier versions do not say it: their tasks always applied.
        given = dict(content.get("given", {}))
        # A file of an older version promises nothing about voxel tasks.
        voxels = {str(name): parse_voxels(entry) for name, entry in content.get("voxels", {}).items()}
        survival = {str(name): parse_survival(own) for name, own in content.get("times", {}).items()}
    # Files of earlier versions know nothing about inputs.
    own = content.get(INPUTS_KEY)
    beside = folder or place.parent
    inputs = own and parse_inputs(own, read_promised_tensors(content, beside), beside)
    return RunsTrust(level, members, tasks, words, without, tta, given, inputs, measured, voxels, survival)


def _describe_inputs(inputs: InputTrust) -> dict[str, Any]:
    return describe_inputs(inputs) | {TENSORS_KEY: digest_tensors(list_input_tensors(inputs))}


def _describe_measures(trust: RunsTrust, task: str) -> dict[str, Any]:
    own = trust.measures.get(task)
    return {} if own is None else {MEASURES_KEY: describe_measures(own)}


def _describe_task(own: TaskTrust) -> dict[str, Any]:
    if own.check is not None:
        own = replace(own, check=replace(own.check, answers=None))
    content = asdict(own) | {"scores": {stratum: scores.tolist() for stratum, scores in own.scores.items()}}
    if content["check"] is not None:
        del content["check"]["answers"]
    return content


def _parse_task(entry: Mapping[str, Any]) -> TaskTrust:
    fitted, check = entry["calibrator"], entry["check"]
    if fitted is not None and fitted["name"] not in CALIBRATORS:
        raise ValueError(f"no calibrator {fitted['name']!r}")
    return TaskTrust(
        {str(stratum): np.array(scores, dtype=np.float64) for stratum, scores in entry["scores"].items()},
        fitted and Calibrator(fitted["name"], tuple((float(a), float(b)) for a, b in fitted["numbers"])),
        check and _parse_check(check),
        int(entry["needed"]),
        str(entry["refused"]),
        # Files of earlier versions have none.
        parse_implied_priors(entry.get("priors", ())),
        parse_spread_scale(entry.get("spread")),
    )


def _parse_check(entry: Mapping[str, Any]) -> TaskCheck:
    losses, errors = entry["log_loss"], entry["errors"]
    return TaskCheck(
        _parse_spread(entry["coverage"]),
        _parse_spread(entry["size"]),
        float(entry["endless"]),
        {str(stratum): _parse_spread(spread) for stratum, spread in entry["strata"].items()},
        int(entry["n"]),
        int(entry["subjects"]),
        losses and (_parse_spread(losses[0]), _parse_spread(losses[1])),
        errors and (_parse_pair(errors[0]), _parse_pair(errors[1])),
        # Files of earlier versions have none.
        parse_group_checks(entry.get("groups", {})),
    )


def _parse_spread(entry: Mapping[str, Any]) -> Spread:
    return Spread(*(NAN if entry[key] is None else float(entry[key]) for key in ("mean", "sd")))


def _parse_pair(pair: Any) -> tuple[float, float]:
    first, second = (NAN if x is None else float(x) for x in pair)
    return first, second
