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
from polytask.balance.equal import Equal, Fixed
from polytask.balance.formulas import Gls, Rlw, Si, Stch
from polytask.balance.graddrop import GradDrop
from polytask.balance.learnt_scale import ImtlL, Uncertainty
from polytask.balance.of_gramian import OfGramian
from polytask.balance.pace import Dwa, Famo, GradNorm
from polytask.balance.rule import SMALLEST, Rule
from polytask.errors import PolytaskError

RULES: dict[str, Callable[..., Any]] = {
    "equal": Equal,
    "fixed": Fixed,
    "uncertainty": Uncertainty,
    "dwa": Dwa,
    "rlw": Rlw,
    "gls": Gls,
    "si": Si,
    "imtl_l": ImtlL,
    "famo": Famo,
    "gradnorm": GradNorm,
    "stch": Stch,
    "mgda": gradients.mgda,
    "pcgrad": gradients.pcgrad,
    "cagrad": gradients.cagrad,
    "graddrop": GradDrop,
    "imtl_g": gradients.imtl_g,
    "nash": gradients.nash,
    "aligned": gradients.aligned,
    "upgrad": gradients.upgrad,
    "fairgrad": gradients.fairgrad,
}

RANGES = {"c": (0.0, 1.0), "decay": (0.0, inf), "warmup": (1.0, inf)}
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
        least, most = RANGES.get(option, (SMALLEST, inf))
        if not least <= value <= most or value == inf:
            raise PolytaskError(
                f"training.balance.options.{option}: {value:g} is out of range; it is "
                + (f"{least:g} to {most:g}" if most < inf else "0 or more" if least == 0 else "more than 0")
            )
    if member is Fixed:
        return Fixed(tuple(weights))
    if isinstance(member, type):
        rule: Rule = member(**(options or {}))
        return rule
    return OfGramian(partial(member, **(options or {})))


__all__ = ["RULES", "Rule", "make_rule"]
