"""The answer in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, log10

from polytask.study.arms import BASELINE
from polytask.study.conclusions.compare import Comparison
from polytask.study.conclusions.gather import Asked
from polytask.study.conclusions.prices import Price, trainings


def sentence(
    made: Sequence[Comparison], asked: Mapping[str, Asked], priced: Mapping[str, Price], shown: str
) -> str:
    """What learning together does to each task under the arm `shown`, and the cheapest arm that is nowhere worse."""
    mine = [c for c in made if c.arm == shown]
    parts = []
    for word, verb in (("better", "helps"), ("worse", "hurts")):
        told = [f"{c.task} ({_effect(c, asked[c.task])})" for c in mine if c.verdict.word == word]
        if told:
            parts.append(f"{verb} {', '.join(told)}")
    rest = [c.task for c in mine if c.verdict.word == "no difference shown"]
    unknown = [c.task for c in mine if c.verdict.word == "not defined"]
    if not parts and not rest:
        head = f"Nothing can be said about {shown}: no task could be compared"
    elif not parts:
        head = f"No difference shown between learning together ({shown}) and single networks on {', '.join(rest)}"
    else:
        head = f"Together ({shown}) {', '.join(parts)}" + (
            f"; no difference shown on {', '.join(rest)}" if rest else ""
        )
    if unknown and (parts or rest):
        head += f"; not defined on {', '.join(unknown)}"
    return f"{head}; {_cheapest(made, priced)}."


def _effect(c: Comparison, asked: Asked) -> str:
    """+2.1 [0.4, 3.9], with as many decimals as keep the smallest of the three from reading 0."""
    unit = "" if asked.unit in ("", "points") else f" {asked.unit}"
    v = c.verdict
    least = min(abs(x) for x in (v.estimate, v.low, v.high))
    digits = 1 if least >= 0.1 or least == 0 else min(4, ceil(-log10(least)))
    text = f"{v.estimate:+.{digits}f}{unit} [{v.low:.{digits}f}, {v.high:.{digits}f}]"
    return text.replace("-", "−")


def _cheapest(made: Sequence[Comparison], priced: Mapping[str, Price]) -> str:
    """Of the arms that are not worse on any task, the one whose training costs least."""
    worse = {c.arm for c in made if c.verdict.word == "worse"}
    judged = {c.arm for c in made if c.verdict.word != "not defined"} | {BASELINE}
    what, shares = trainings(priced, [a for a in priced if a in judged - worse])
    if not shares or what == "seconds":
        return "what it costs is not known"
    arm = min(shares, key=lambda a: shares[a])
    if arm == BASELINE:
        return "cheapest that is not shown to be worse: single networks"
    share = shares[arm]
    price = (
        f"{1 / share:.1f} × less {what}" if share <= 0.95 else f"{share:.2f} × the {what} of single networks"
    )
    return f"cheapest that is not shown to be worse: {arm}, {price}"
