"""The part of a study's page about looking one step ahead: the matrix of affinities, and the groupings that follow."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from math import isfinite
from typing import Any

import numpy as np

from polytask.report.drawing import INK, Picture, create_figure, encode_svg, use_report_style
from polytask.study.arms import MEASURING_ARM
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.conclusions.lookahead_affinity import LookaheadAffinity
from polytask.study.conclusions.task_affinity import MIN_RUNS_FOR_ERROR
from polytask.study.report.effect_text import count_with_noun, shorten_name
from polytask.study.task_grouping import Groups

CELL_INCHES, NARROW_CELL_INCHES = 0.8, 0.58
"""Width and height of a cell of the matrix, in inches, on a wide and on a narrow screen."""
LOOKAHEAD_EXPLANATION = (
    "Affinity, as in TAG: before some training steps, the shared weights took the step of one task alone (row), the "
    "losses of all tasks were computed again on the same samples, and the weights were put back. Positive: the step "
    "for the row’s task lowered the loss of the column’s. Unlike a cosine it has a direction and a size. It looks one "
    "step ahead, on training samples: whether a grouping helps a patient, only an arm that trains it can show (--arm "
    "groups). A grouping’s score is the mean over tasks of the affinity that the others in its network have onto it; a "
    "task alone has 0."
)


def use_lookahead_titles(conclusions: Conclusions) -> LookaheadAffinity | None:
    """Return the affinities with the titles of the tasks in place of their names; None when there are none."""
    measured = conclusions.lookahead
    if measured is None:
        return None
    titles = {task: conclusions.asked[task].title for task in conclusions.asked}

    def write(groups: Groups) -> Groups:
        return tuple(tuple(titles.get(task, task) for task in group) for group in groups)

    return replace(
        measured,
        tasks=tuple(titles.get(task, task) for task in measured.tasks),
        groupings=tuple(replace(g, groups=write(g.groups)) for g in measured.groupings),
        trained={
            arm: {write(groups): runs for groups, runs in counts.items()}
            for arm, counts in measured.trained.items()
        },
    )


def make_lookahead_picture(measured: LookaheadAffinity) -> Picture | None:
    """Draw the matrix of affinities, without the diagonal; None for a single task."""
    if len(measured.tasks) < 2:
        return None
    with use_report_style():
        wide, narrow = draw_affinities(measured, CELL_INCHES), draw_affinities(measured, NARROW_CELL_INCHES)
        precision = (
            "± twice the standard error over runs"
            if measured.runs >= MIN_RUNS_FOR_ERROR
            else f"a standard error needs {MIN_RUNS_FOR_ERROR} runs"
        )
        note = (
            f"{count_with_noun(measured.runs, 'run')} of {measured.arm}, {count_with_noun(measured.looks, 'look')} in "
            f"all; change of the loss by one step; {precision}. Purple: helps; orange: hurts."
        )
        return Picture(encode_svg(wide), write_lookahead_alt_text(measured), note, narrow=encode_svg(narrow))


def draw_affinities(measured: LookaheadAffinity, cell: float) -> Any:
    """Draw a figure with the matrix; `cell` is the edge of a cell in inches."""
    count = len(measured.tasks)
    off = measured.affinity[~np.eye(count, dtype=bool)]
    known = np.abs(off[np.isfinite(off)])
    limit = float(known.max()) if known.size and known.max() > 0 else 1.0
    drawn = create_figure(max(3.6, cell * count + 2.0), cell * count + 1.2)
    axes = drawn.subplots()
    shown = np.ma.masked_array(measured.affinity, np.eye(count, dtype=bool) | ~np.isfinite(measured.affinity))
    axes.imshow(shown, cmap="PuOr", vmin=-limit, vmax=limit, aspect="equal")
    names = [shorten_name(t, 16) for t in measured.tasks]
    turn, side = (0, "center") if count < 4 else (40, "right")
    axes.set_xticks(range(count), names, rotation=turn, ha=side)
    axes.set_yticks(range(count), names)
    axes.set(xlabel="loss of", ylabel="step for")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for i, j in permutations(range(count), 2):
        dark = isfinite(measured.affinity[i, j]) and abs(measured.affinity[i, j]) > 0.62 * limit
        text = format_affinity(measured, i, j)
        axes.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if dark else INK)
    return drawn


def format_affinity(measured: LookaheadAffinity, i: int, j: int) -> str:
    """Format an affinity in percent of the loss, with twice its standard error."""
    value, spread = 100 * measured.affinity[i, j], 100 * measured.spread[i, j]
    if not isfinite(value):
        return "–"
    sure = f"\n± {2 * spread:.2g}" if isfinite(spread) else ""
    return f"{value:+.2g} %".replace("-", "−") + sure


def write_lookahead_alt_text(measured: LookaheadAffinity) -> str:
    """Describe the matrix in words for readers who cannot see it."""
    pairs = [
        f"{measured.tasks[i]} onto {measured.tasks[j]} {format_affinity(measured, i, j)}".replace("\n", " ")
        for i, j in permutations(range(len(measured.tasks)), 2)
    ]
    return f"Affinities of the tasks in {measured.arm}: {'; '.join(pairs)}"


def describe_groupings(measured: LookaheadAffinity) -> list[str]:
    """Write the best grouping into each number of networks, how sure it is, and what the arms with groups trained."""
    lines = []
    for rated in measured.groupings:
        networks = count_with_noun(len(rated.groups), "network")
        line = f"{networks}: {write_groups_text(rated.groups)}, score {100 * rated.score:+.2g} %".replace(
            "-", "−"
        )
        if measured.runs > 1 and len(rated.groups) > 1:
            line += f"; the best in {rated.runs} of {measured.runs} runs taken alone"
        lines.append(line)
    if measured.groupings:
        best = max(measured.groupings, key=lambda g: g.score)
        lines.append(
            f"By affinity alone, {write_groups_text(best.groups)} would be trained together."
            if best.score > 0
            else "By affinity alone, each task would be trained by itself: no grouping has a positive score."
        )
    for arm, counts in measured.trained.items():
        trained = "; ".join(
            f"{write_groups_text(groups)} in {count_with_noun(runs, 'run')}"
            for groups, runs in counts.items()
        )
        lines.append(
            f"The arm {arm} trained {trained}: each run the groups found by the run of {MEASURING_ARM} on the same "
            "fold with the same seed, on training samples. Its costs do not count that run, which has to be paid too."
        )
    return lines


def write_groups_text(groups: Groups) -> str:
    """Write groups as `{a, b} · {c}`."""
    return " · ".join("{" + ", ".join(group) + "}" for group in groups)
