"""Writes the answer of a study in one sentence: the recommendation and its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, isfinite, log10

from polytask.statistics.effect import ONE_TRAINING_SET
from polytask.study.arms import BASELINE
from polytask.study.conclusions.compare import Comparison
from polytask.study.conclusions.gather import Asked
from polytask.study.conclusions.prices import Price, trainings
from polytask.study.conclusions.recommendation import Recommendation


def write_sentence(
    made: Sequence[Comparison],
    asked: Mapping[str, Asked],
    priced: Mapping[str, Price],
    margins: Mapping[str, float],
    recommendation: Recommendation,
) -> str:
    """Write which arm to take and why, with effects, intervals, and the limits of these intervals."""
    mine = [c for c in made if c.arm == recommendation.candidate]
    said = _recommend(mine, asked, priced, margins, recommendation)
    # Only small studies carry this warning, because their intervals leave out the luck of the training set.
    few = [c.effect.subjects for c in mine if ONE_TRAINING_SET in c.effect.notes]
    words = recommendation.basis != "one seed" and any(c.verdict.word in ("better", "worse") for c in mine)
    if not few or not (words or recommendation.basis in ("saving", "no saving")):
        return f"{said}."
    return f"{said}; training sets are not drawn, so with {min(few)} subjects words come more easily than they say."


def _recommend(
    mine: Sequence[Comparison],
    asked: Mapping[str, Asked],
    priced: Mapping[str, Price],
    margins: Mapping[str, float],
    recommendation: Recommendation,
) -> str:
    """Phrase the recommendation and its reason, without a full stop."""
    r = recommendation
    effects = _effects(mine, asked)
    within = _within(mine, asked, margins)
    cost = _cost(priced, r.candidate)
    arm = r.candidate
    if r.basis == "gain":
        return f"Recommended: {arm}: it {effects}{f'; {within}' if within else ''}; {cost}"
    if r.basis == "saving":
        return f"Recommended: {arm}: {cost}, and {within}"
    single = "Recommended: single networks"
    if r.basis == "one seed":
        return f"{single}: one training each, so no claim; add seeds (--seeds 3)"
    if r.basis == "tune":
        return f"{single}: no joint arm did better on the tune part"
    if r.basis == "nothing learned":
        tasks = ", ".join(c.task for c in mine if c.verdict.word == "nothing learned yet")
        return f"{single}: nothing was learned yet on {tasks}, so nothing can be compared there; train longer"
    if r.basis == "no saving":
        return f"{single}: {arm} neither helps nor saves: {within}; {cost}"
    if r.basis == "worse":
        return f"{single}: {arm}, which did best on the tune part, {effects}"
    helps, whom = (f"{arm} {effects}, but ", "it") if effects else ("", arm)
    return f"{single}: {helps}the study is too small to recommend {whom}: {_open(r, mine, asked, margins)}"


def _effects(mine: Sequence[Comparison], asked: Mapping[str, Asked]) -> str:
    """Phrase the shown effects: `helps mask (+2.1 [0.4, 3.9]) and hurts os (…)`; "" where no difference is shown."""
    parts = []
    for word, verb in (("better", "helps"), ("worse", "hurts")):
        told = [
            f"{c.task} ({_effect(c, asked[c.task])}{_carried(c)})" for c in mine if c.verdict.word == word
        ]
        if told:
            parts.append(f"{verb} {', '.join(told)}")
    return " and ".join(parts)


def _carried(c: Comparison) -> str:
    """Phrase `, carried by 2 subjects` where so few subjects make the effect; the page names them."""
    count = len(c.effect.carriers)
    return f", carried by {count} subject{'s' * (count != 1)}" if count else ""


def _within(mine: Sequence[Comparison], asked: Mapping[str, Asked], margins: Mapping[str, float]) -> str:
    """Phrase on which tasks a loss of more than the margin is excluded."""
    rest = [c for c in mine if c.verdict.word == "no difference shown"]
    if not rest:
        return ""
    told = [f"{c.task} ({_plain(c, asked[c.task])})" for c in rest]
    return f"no loss of more than {_margins([c.task for c in rest], asked, margins)} on {', '.join(told)}"


def _open(
    r: Recommendation, mine: Sequence[Comparison], asked: Mapping[str, Asked], margins: Mapping[str, float]
) -> str:
    """Phrase the losses that the study could not exclude, the largest one (in margins) first."""
    known = sorted((t for t, v in r.losses.items() if isfinite(v)), key=lambda t: -r.losses[t] / margins[t])
    unknown = [t for t in r.losses if t not in known]
    parts = []
    if known:
        told = ", ".join(f"{_number(r.losses[t])}{_unit(asked[t])} on {t}" for t in known)
        parts.append(f"it does not exclude a loss of {told} (margin {_margins(known, asked, margins)})")
    few = [c.task for c in mine if c.task in unknown and c.verdict.word == "too few"]
    if few:
        parts.append(f"too few patients to judge {', '.join(few)}")
    if other := [t for t in unknown if t not in few]:
        parts.append(f"nothing can be said on {', '.join(other)}")
    return "; ".join(parts) or "nothing could be compared"


def _margins(tasks: Sequence[str], asked: Mapping[str, Asked], margins: Mapping[str, float]) -> str:
    """Phrase the margins: `2 points`, or one for each task where they differ."""
    words = {t: f"{_number(margins[t])}{_unit(asked[t])}" for t in tasks}
    # Compared as written text: margins that differ only beyond the shown digits read as one.
    alike = set(words.values())
    return alike.pop() if len(alike) == 1 else ", ".join(f"{w} ({t})" for t, w in words.items())


def _unit(asked: Asked) -> str:
    return f" {asked.unit or 'points'}"


def _effect(c: Comparison, asked: Asked) -> str:
    """Phrase an effect as `+2.1 [0.4, 3.9]`, with the interval at the level at which it was judged."""
    return _interval(c.verdict.estimate, c.verdict.low, c.verdict.high, asked)


def _plain(c: Comparison, asked: Asked) -> str:
    """Phrase an effect with its plain 95 % interval, the one that is compared with the margin."""
    return _interval(c.effect.estimate, *c.effect.interval(), asked)


def _interval(estimate: float, low: float, high: float, asked: Asked) -> str:
    """Phrase estimate and interval with enough decimals that the smallest of the three does not read 0."""
    unit = "" if asked.unit in ("", "points") else f" {asked.unit}"
    least = min(abs(x) for x in (estimate, low, high))
    digits = 1 if least >= 0.1 or least == 0 else min(4, ceil(-log10(least)))
    text = f"{estimate:+.{digits}f}{unit} [{low:.{digits}f}, {high:.{digits}f}]"
    # A true minus sign; the hyphen could be read as a range.
    return text.replace("-", "−")


def _number(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def _cost(priced: Mapping[str, Price], arm: str) -> str:
    """Phrase the training cost of an arm relative to the single networks."""
    what, shares = trainings(priced, [a for a in priced if a in (arm, BASELINE)])
    if what == "seconds" or arm not in shares:
        return "what it costs beside single networks is not known"
    share = shares[arm]
    return (
        f"{1 / share:.1f} × less {what}" if share <= 0.95 else f"{share:.2f} × the {what} of single networks"
    )
