"""Limits of numbers that `cohort.yaml` and `plan.yaml` state of a task."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
PooledLevel = Literal["visit", "subject"]
