"""The head of the page: facts, the arm that was judged, and how the recommendation came about."""

from __future__ import annotations

from math import isfinite

from polytask.report.run_facts import Fact
from polytask.study.arms import BASELINE
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.report.effect_text import count_with_noun
from polytask.study.report.reproduction import join_distinct_values, list_run_records


def name_cohort(conclusions: Conclusions) -> str:
    """Return the name of the cohort as the runs recorded it."""
    return join_distinct_values((r.get("header") or {}).get("name") for r in list_run_records(conclusions))


def list_study_facts(conclusions: Conclusions) -> list[Fact]:
    """List the facts that the answer rests on: subjects, tasks, arms, folds, seeds and budget."""
    study = conclusions.gathered.study
    design = study.design
    evaluations = [r.evaluated.evaluation for by in conclusions.gathered.folds.values() for r in by.values()]
    subjects = {s for e in evaluations for s in e.subjects}
    sites = {s for e in evaluations for s in e.sites if s}
    done = sum(r.state == "done" for r in study.runs)
    from_sites = f" from {count_with_noun(len(sites), 'site')}" if sites else ""
    return [
        Fact("cohort", name_cohort(conclusions)),
        Fact("judged on", f"{count_with_noun(len(subjects), 'held-out subject')}{from_sites}"),
        Fact("tasks", ", ".join(task_info.title for task_info in conclusions.asked.values())),
        Fact("arms", ", ".join(a.name for a in study.arms)),
        Fact("folds × seeds", f"{len(design.folds)} × {len(design.seeds)}"),
        Fact("runs", f"{done} of {len(study.runs)} done"),
        Fact("budget", f"{design.steps} optimizer steps of every network"),
        Fact("test part", "not used by this study"),
    ]


def describe_judged_arm(conclusions: Conclusions) -> str:
    """Describe the arm that was judged and the meaning of its intervals; "" without a joint arm."""
    if not conclusions.shown:
        return ""
    preferred = conclusions.recommendation.candidate == conclusions.shown
    why = "which the tune part prefers" if preferred else "the joint arm with the highest mean skill on tune"
    comparisons = sum(isfinite(c.verdict.p) for c in conclusions.comparisons)
    if not comparisons:
        return f"The judged arm is {conclusions.shown}, {why}. No comparison could be made; the reasons are below."
    return (
        f"The judged arm is {conclusions.shown}, {why}. Differences are against single networks on held-out subjects; "
        "above 0 is better. Each interval has the confidence level at which the difference was judged among "
        f"{count_with_noun(comparisons, 'comparison')}."
    )


FIXED_FOR_ALL_ARMS = (
    "The same for all arms: folds, seeds, augmentation, optimizer steps of every network, precision, threads, and the "
    "rule by which the best checkpoint is chosen on the tune part. Every run is judged on the held-out subjects of its "
    "fold. “single” is one network for each task, each with as many steps as a joint network."
)


def explain_choice(conclusions: Conclusions) -> str:
    """Explain the recommendation: what tune prefers, and what the held-out subjects had to show."""
    choice = conclusions.choice
    if choice is None:
        return "No run was evaluated on the tune part, so no joint arm could be chosen there."
    preferred = "single networks" if choice.arm == BASELINE else choice.arm
    return (
        f"The tune part prefers {preferred}: {choice.why}. The joint arm that the tune part prefers is recommended if "
        "held-out subjects show that it helps or that it costs less, and exclude on every other task a loss of more "
        f"than {list_margins(conclusions)}, a margin fixed before the first run. Held-out subjects never choose an arm."
    )


def list_margins(conclusions: Conclusions) -> str:
    """Write the margins: `2 points`, or each with its task where they differ."""
    margin_texts = {
        task: f"{margin:.3g} {conclusions.asked[task].unit or 'points'}"
        for task, margin in conclusions.gathered.margins.items()
    }
    distinct_texts = set(margin_texts.values())
    return (
        distinct_texts.pop()
        if len(distinct_texts) == 1
        else ", ".join(f"{word} ({conclusions.asked[task].title})" for task, word in margin_texts.items())
    )
