"""Writes the answer of a study in one sentence: the recommendation and its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, isfinite, log10

from polytask.statistics.effect import ONE_TRAINING_SET_NOTE
from polytask.study.arms import BASELINE
from polytask.study.conclusions.arm_comparison import ArmComparison
from polytask.study.conclusions.arm_costs import ArmCosts, compare_training_costs
from polytask.study.conclusions.finished_runs import TaskInfo
from polytask.study.conclusions.recommendation import Recommendation


def write_answer_sentence(
    comparisons: Sequence[ArmComparison],
    task_infos: Mapping[str, TaskInfo],
    arm_costs: Mapping[str, ArmCosts],
    margins: Mapping[str, float],
    recommendation: Recommendation,
) -> str:
    """Write which arm to take and why, with effects, intervals, and the limits of these intervals."""
    own_comparisons = [c for c in comparisons if c.arm == recommendation.candidate]
    phrase = _phrase_recommendation(own_comparisons, task_infos, arm_costs, margins, recommendation)
    # Only small studies carry this warning, because their intervals leave out the luck of the training set.
    subject_counts = [c.effect.subjects for c in own_comparisons if ONE_TRAINING_SET_NOTE in c.effect.notes]
    is_shown = any(c.verdict.word in ("better", "worse") for c in own_comparisons)
    claims_difference = recommendation.basis != "one seed" and is_shown
    if not subject_counts or not (claims_difference or recommendation.basis in ("saving", "no saving")):
        return f"{phrase}."
    return (
        f"{phrase}; the intervals leave out the luck of the training sets, so with {min(subject_counts)} subjects "
        "“better” and “worse” come up by chance more often than stated."
    )


def _phrase_recommendation(
    own_comparisons: Sequence[ArmComparison],
    task_infos: Mapping[str, TaskInfo],
    arm_costs: Mapping[str, ArmCosts],
    margins: Mapping[str, float],
    recommendation: Recommendation,
) -> str:
    """Phrase the recommendation and its reason, without a full stop."""
    r = recommendation
    effects = _phrase_effects(own_comparisons, task_infos)
    within = _phrase_excluded_losses(own_comparisons, task_infos, margins)
    cost = _phrase_training_cost(arm_costs, r.candidate)
    arm = r.candidate
    if r.basis == "gain":
        return f"Recommended: {arm}: it {effects}{f'; {within}' if within else ''}; {cost}"
    if r.basis == "saving":
        return f"Recommended: {arm}: {cost}, and {within}"
    single = "Recommended: single networks"
    if r.basis == "one seed":
        return (
            f"{single}: only one training of each network, so nothing can be claimed; add seeds (--seeds 3)"
        )
    if r.basis == "tune":
        return f"{single}: no joint arm did better on the tune part"
    if r.basis == "nothing learned":
        tasks = ", ".join(c.task for c in own_comparisons if c.verdict.word == "nothing learned yet")
        return f"{single}: nothing was learned yet on {tasks}, so nothing can be compared there; train longer"
    if r.basis == "no saving":
        return f"{single}: {arm} neither helps nor saves training: {within}; {cost}"
    if r.basis == "worse":
        return f"{single}: {arm}, which did best on the tune part, {effects}"
    helps, whom = (f"{arm} {effects}, but ", "it") if effects else ("", arm)
    return (
        f"{single}: {helps}the study is too small to recommend {whom}: "
        f"{_phrase_open_losses(r, own_comparisons, task_infos, margins)}"
    )


def _phrase_effects(own_comparisons: Sequence[ArmComparison], task_infos: Mapping[str, TaskInfo]) -> str:
    """Phrase the shown effects: `helps mask (+2.1 [0.4, 3.9]) and hurts os (…)`; "" where no difference is shown."""
    parts = []
    for word, verb in (("better", "helps"), ("worse", "hurts")):
        task_texts = [
            f"{c.task} ({_phrase_judged_effect(c, task_infos[c.task])}{_phrase_carriers(c)})"
            for c in own_comparisons
            if c.verdict.word == word
        ]
        if task_texts:
            parts.append(f"{verb} {', '.join(task_texts)}")
    return " and ".join(parts)


def _phrase_carriers(c: ArmComparison) -> str:
    """Phrase `, carried by 2 subjects` where so few subjects make the effect; the page names them."""
    count = len(c.effect.carriers)
    return f", carried by {count} subject{'s' * (count != 1)}" if count else ""


def _phrase_excluded_losses(
    own_comparisons: Sequence[ArmComparison], task_infos: Mapping[str, TaskInfo], margins: Mapping[str, float]
) -> str:
    """Phrase on which tasks a loss of more than the margin is excluded."""
    undecided = [c for c in own_comparisons if c.verdict.word == "no difference shown"]
    if not undecided:
        return ""
    task_texts = [f"{c.task} ({_phrase_plain_effect(c, task_infos[c.task])})" for c in undecided]
    margin = _phrase_margins([c.task for c in undecided], task_infos, margins)
    return f"no loss of more than {margin} on {', '.join(task_texts)}"


def _phrase_open_losses(
    r: Recommendation,
    own_comparisons: Sequence[ArmComparison],
    task_infos: Mapping[str, TaskInfo],
    margins: Mapping[str, float],
) -> str:
    """Phrase the losses that the study could not exclude, the largest one (in margins) first."""
    known = sorted((t for t, v in r.losses.items() if isfinite(v)), key=lambda t: -r.losses[t] / margins[t])
    unknown = [t for t in r.losses if t not in known]
    parts = []
    if known:
        losses = ", ".join(f"{_phrase_loss(r.losses[t])}{_phrase_unit(task_infos[t])} on {t}" for t in known)
        parts.append(
            f"it does not exclude a loss of {losses} (margin {_phrase_margins(known, task_infos, margins)})"
        )
    few = [c.task for c in own_comparisons if c.task in unknown and c.verdict.word == "too few"]
    if few:
        parts.append(f"too few patients to judge {', '.join(few)}")
    if other := [t for t in unknown if t not in few]:
        parts.append(f"no judgment is possible on {', '.join(other)}")
    return "; ".join(parts) or "nothing could be compared"


def _phrase_margins(
    tasks: Sequence[str], task_infos: Mapping[str, TaskInfo], margins: Mapping[str, float]
) -> str:
    """Phrase the margins: `2 points`, or one for each task where they differ."""
    margin_texts = {t: f"{_phrase_loss(margins[t])}{_phrase_unit(task_infos[t])}" for t in tasks}
    # Compared as written text: margins that differ only beyond the shown digits read as one.
    distinct_texts = set(margin_texts.values())
    return (
        distinct_texts.pop()
        if len(distinct_texts) == 1
        else ", ".join(f"{w} ({t})" for t, w in margin_texts.items())
    )


def _phrase_unit(task_info: TaskInfo) -> str:
    return f" {task_info.unit or 'points'}"


def _phrase_judged_effect(c: ArmComparison, task_info: TaskInfo) -> str:
    """Phrase an effect as `+2.1 [0.4, 3.9]`, with the interval at the level at which it was judged."""
    return _phrase_interval(c.verdict.estimate, c.verdict.low, c.verdict.high, task_info)


def _phrase_plain_effect(c: ArmComparison, task_info: TaskInfo) -> str:
    """Phrase an effect with its plain 95 % interval, the one that is compared with the margin."""
    return _phrase_interval(c.effect.estimate, *c.effect.interval(), task_info)


def _phrase_interval(estimate: float, low: float, high: float, task_info: TaskInfo) -> str:
    """Phrase estimate and interval with enough decimals that the smallest of the three does not read 0."""
    unit = "" if task_info.unit in ("", "points") else f" {task_info.unit}"
    least = min(abs(x) for x in (estimate, low, high))
    digits = 1 if least >= 0.1 or least == 0 else min(4, ceil(-log10(least)))
    text = f"{estimate:+.{digits}f}{unit} [{low:.{digits}f}, {high:.{digits}f}]"
    # A true minus sign; the hyphen could be read as a range.
    return text.replace("-", "−")


def _phrase_loss(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def _phrase_training_cost(arm_costs: Mapping[str, ArmCosts], arm: str) -> str:
    """Phrase the training cost of an arm relative to the single networks."""
    cost_scale, shares = compare_training_costs(arm_costs, [a for a in arm_costs if a in (arm, BASELINE)])
    if cost_scale == "seconds" or arm not in shares:
        return "its training cost relative to single networks is not known"
    share = shares[arm]
    return (
        f"{1 / share:.1f} × less {cost_scale}"
        if share <= 0.95
        else f"{share:.2f} × the {cost_scale} of single networks"
    )
