"""The content of runs or of an exported model, before it is put on a device to predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polytask.cohort.header import Header
from polytask.plan.plan_schema import Plan
from polytask.predict.member import Member


@dataclass(frozen=True)
class LoadedModel:
    """One model or an ensemble as its folders describe it; `Predictor` answers with it.

    Args:
        header: that of the cohort it was trained on.
        plan: that all members share.
        members: one for each run.
        notices: what a person must know about the model itself, e.g. that it has no seal.
        origin: folder of an exported model, None for runs.
        promises: content of `trust.json`, if there is one. promise_folder: where it and its tensors were read.
    """

    header: Header
    plan: Plan
    members: Sequence[Member]
    notices: Sequence[str] = ()
    origin: Path | None = None
    promises: Mapping[str, Any] | None = None
    promise_folder: Path | None = None
