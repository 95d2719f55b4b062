"""How the tasks' losses or gradients become one step: a registry of rules, and the cut where gradients are taken.

To add a rule, write a frozen dataclass (`rule.py` says what it needs) or a function of the Gramian (see
`gradients.py`), and name it here. The shared battery of tests finds it by itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from typing import Any

from polytask.balance import gradients
from polytask.balance.fixed_weights import EqualWeights, FixedWeights
from polytask.balance.graddrop import GradDrop
from polytask.balance.gramian_rule import GramianRule
from polytask.balance.learned_scale import ImtlL, UncertaintyWeights
from polytask.balance.loss_formulas import (
    GeometricMeanLoss,
    RandomLossWeights,
    ScaleInvariantLoss,
    SmoothTchebycheff,
)
from polytask.balance.progress_rules import DynamicWeightAverage, FamoWeights, GradNorm
from polytask.balance.rule import MIN_POSITIVE_LOSS, Rule
from polytask.errors import PolytaskError

RULES: dict[str, Callable[..., Any]] = {
    "equal": EqualWeights,
    "fixed": FixedWeights,
    "uncertainty": UncertaintyWeights,
    "dwa": DynamicWeightAverage,
    "rlw": RandomLossWeights,
    "gls": GeometricMeanLoss,
    "si": ScaleInvariantLoss,
    "imtl_l": ImtlL,
    "famo": FamoWeights,
    "gradnorm": GradNorm,
    "stch": SmoothTchebycheff,
    "mgda": gradients.weigh_by_mgda,
    "pcgrad": gradients.weigh_by_pcgrad,
    "cagrad": gradients.weigh_by_cagrad,
    "graddrop": GradDrop,
    "imtl_g": gradients.weigh_by_imtl_g,
    "nash": gradients.weigh_by_nash,
    "aligned": gradients.weigh_by_alignment,
    "upgrad": gradients.weigh_by_upgrad,
    "fairgrad": gradients.weigh_by_fairgrad,
}

OPTION_RANGES = {"c": (0.0, 1.0), "decay": (0.0, inf), "warmup": (1.0, inf)}
"""Option of a rule → its smallest and largest value; all other options are more than 0."""


def make_rule(name: str, options: Mapping[str, float] | None = None, weights: Sequence[float] = ()) -> Rule:
    """Make the rule `name`. `options` are its own settings, `weights` are those of `fixed`.

    Raises:
        PolytaskError: the rule has no such setting, or its value is out of range.
    """
    member = RULES[name]
    known = [p for p in inspect.signature(member).parameters if p not in ("gramian", "draw", "weights")]
    for option in options or {}:
        if option not in known:
            raise PolytaskError(
                f"training.balance.options: {name!r} has no setting {option!r}; it has {', '.join(known) or 'none'}"
            )
    for option, value in (options or {}).items():
        least, most = OPTION_RANGES.get(option, (MIN_POSITIVE_LOSS, inf))
        if not least <= value <= most or value == inf:
            raise PolytaskError(
                f"training.balance.options.{option}: {value:g} is out of range; it is "
                + (f"{least:g} to {most:g}" if most < inf else "0 or more" if least == 0 else "more than 0")
            )
    if member is FixedWeights:
        return FixedWeights(tuple(weights))
    if isinstance(member, type):
        rule: Rule = member(**(options or {}))
        return rule
    return GramianRule(partial(member, **(options or {})))


__all__ = ["RULES", "Rule", "make_rule"]
