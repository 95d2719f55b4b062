"""Builds the tables of the page: effects task by task, Δm, costs, and skill on tune."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from polytask.report.tables import DASH, Cell, Table, number
from polytask.statistics.effect import ONE_SEED
from polytask.study.arms import BASELINE
from polytask.study.conclusions.compare import Comparison
from polytask.study.conclusions.gather import Asked
from polytask.study.conclusions.make import Conclusions
from polytask.study.conclusions.prices import WHAT, Price
from polytask.study.report.amounts import (
    amount,
    between,
    change,
    counted,
    duration,
    metric_of,
    percent,
    probability,
    times,
    unit_of,
)


@dataclass(frozen=True)
class TaskPart:
    """The section of one task.

    Args:
        metric: the primary metric with its direction. effects: table with one row per arm.
        notes: warnings for the reader.
    """

    name: str
    kind: str
    level: str
    metric: str
    effects: Table
    notes: list[str]


def tasks(found: Conclusions) -> list[TaskPart]:
    """Build the sections of all tasks that were compared."""
    parts = []
    for task, asked in found.asked.items():
        rows = [c for c in found.comparisons if c.task == task]
        if rows:
            direction = "more is better" if asked.higher else "less is better"
            metric = f"{metric_of(asked)}, {direction}"
            parts.append(
                TaskPart(asked.title, asked.kind, asked.level, metric, effects(rows, asked), notes(rows))
            )
    return parts


def effects(rows: Sequence[Comparison], asked: Asked) -> Table:
    """Build the table of one task with one row per arm: values, difference, verdict, and number of cases."""
    columns = [
        "arm",
        metric_of(asked),
        "single",
        f"difference in {unit_of(asked)}",
        "plain 95 % interval",
        "p, adjusted",
        "what it says",
        "known cases",
        "difference by fold",
        "cross-checks",
    ]
    return Table("", columns, [(c.arm, effect(c, asked)) for c in rows])


def effect(c: Comparison, asked: Asked) -> list[Cell]:
    """Build the cells of one row of the table of effects."""
    e, v = c.effect, c.verdict
    if not isfinite(e.estimate):
        return [Cell(DASH)] * 5 + [Cell("not defined")] + [Cell(DASH)] * 2 + [checks(c)]
    shown = v.word in ("better", "worse")
    level = f"at {percent(v.level)}" if isfinite(v.level) else ""
    could = f"would have shown ≥ {amount(v.detectable, asked)}" if isfinite(v.detectable) else ""
    # Where subjects are too few, the reason matters more than the smallest effect that could have been shown.
    could = e.too_few if v.word == "too few" else could
    return [
        Cell(number(e.arm / asked.points)),
        Cell(number(e.baseline / asked.points)),
        Cell(change(e.estimate, asked), between(v.low, v.high, asked), level, strong=shown),
        Cell(between(*e.interval(), asked) or DASH),
        Cell(probability(v.p)),
        Cell(v.word, could, strong=shown),
        Cell(
            str(sum(e.cases.values())),
            f"of {counted(e.subjects, 'subject')}",
            f"{counted(len(e.folds), 'fold')} × {counted(len(e.seeds), 'seed')}",
        ),
        Cell(", ".join(change(value, asked) for value in e.folds.values())),
        checks(c),
    ]


def checks(c: Comparison) -> Cell:
    """Build the cell with the unadjusted p-values of the cross-checks."""
    told = "; ".join(f"{k.name}: {_p(k.p)}" for k in c.checks)
    cases = sorted({k.n for k in c.checks})
    return Cell(told, n=f"n {', '.join(map(str, cases))}") if told else Cell(DASH)


def _p(p: float) -> str:
    text = probability(p)
    return f"p {text}" if text[:1] == "<" else f"p = {text}"


def notes(rows: Sequence[Comparison]) -> list[str]:
    """List each note once, with its arms unless it concerns all of them; then the subjects that carry an effect.

    The note about one seed is left out: it stands at the top of the page.
    """
    by_note: dict[str, list[str]] = {}
    for c in rows:
        for note in c.effect.notes:
            by_note.setdefault(note, []).append(c.arm)
    # It holds for the whole study, so the head of the page says it once.
    by_note.pop(ONE_SEED, None)
    every = len({c.arm for c in rows})
    told = [n if len(arms) == every else f"{', '.join(arms)}: {n}" for n, arms in by_note.items()]
    return told + [f"{c.arm}: {carried(c)}" for c in rows if c.effect.carriers]


def carried(c: Comparison) -> str:
    """Describe which subjects carry an effect."""
    who = c.effect.carriers
    verb = "carries" if len(who) == 1 else "carry"
    return f"{counted(len(who), 'subject')} {verb} this effect: {', '.join(who)}"


def delta_m(found: Conclusions) -> tuple[Table | None, str]:
    """Build the table of Δm by arm and its tasks; reasons for left-out tasks stand below where all arms share them."""
    if not found.gains:
        return None, ""
    reasons = {
        arm: "; ".join(f"{found.asked[task].title}: {why}" for task, why in gain.left_out.items())
        for arm, gain in found.gains.items()
    }
    alike = len(set(reasons.values())) == 1
    rows = []
    for arm, gain in found.gains.items():
        value = "not defined" if gain.value is None else f"{relative(gain.value)} %"
        own = ", ".join(f"{found.asked[task].title} {relative(v)} %" for task, v in gain.tasks.items())
        rows.append((arm, [Cell(value), Cell(own or "none")] + [Cell(reasons[arm] or "none")] * (not alike)))
    columns = ["arm", "Δm", "tasks that count", *["left out, and why"] * (not alike)]
    every = next(iter(reasons.values())) if alike else ""
    return Table("", columns, rows), f"Left out: {every}." if every else ""


def relative(value: float) -> str:
    """Format a relative change in percent, with its sign."""
    text = f"{value:+.1f}"
    return text.replace("-", "−") if text.strip("+-0.") else "0"


HEADS = {
    "parameters": "parameters",
    "training_seconds": "training",
    "inference_ms": "inference per case",
    "peak_memory_mb": "peak memory, host",
    "device_memory_mb": "peak memory, accelerator",
    "disk_mb": "disk",
}


def costs(found: Conclusions) -> Table | None:
    """Build the table of every arm's costs, each with its ratio to the single networks together."""
    if not found.prices:
        return None
    noted = [w for w in WHAT if any(isfinite(getattr(p, w)) for p in found.prices.values())]
    rows = []
    for arm, price in found.prices.items():
        cells = []
        for what in noted:
            ratio = price.relative.get(what)
            beside = "" if ratio is None or arm == BASELINE else times(ratio)
            cells.append(Cell(cost(what, getattr(price, what)), beside))
        rows.append((arm, [*([compute(arm, price)] if timed(found) else []), *cells, Cell(str(price.runs))]))
    first = ["compute of training"] if timed(found) else []
    return Table("", ["arm", *first, *(HEADS[w] for w in noted), "runs"], rows)


def timed(found: Conclusions) -> bool:
    """Whether the steps of any arm were timed side by side with those of the single networks."""
    return any(price.compute for price in found.prices.values())


def compute(arm: str, price: Price) -> Cell:
    """Build the cell with a training step ÷ one step of each single network, with the quartiles over timed rounds."""
    c = price.compute
    if c is None or arm == BASELINE:
        return Cell("1" if c else DASH)
    return Cell(times(c.median), f"{c.low:.2f} to {c.high:.2f}" if c.low < c.high else "")


def cost(what: str, value: float) -> str:
    """Format one cost in its unit."""
    if not isfinite(value):
        return DASH
    if what == "parameters":
        return f"{value:,.0f}".replace(",", " ")
    if what == "training_seconds":
        return duration(value)
    if what == "inference_ms":
        return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"
    return f"{value / 1024:.1f} GB" if value >= 1024 else f"{value:.0f} MB"


def tuned(found: Conclusions) -> Table | None:
    """Build the table of skills on tune, with the gap to the best arm."""
    choice = found.choice
    if choice is None or len(choice.skills) < 2:
        return None
    best = max(choice.skills, key=lambda a: choice.skills[a])
    rows = []
    for arm, skill in choice.skills.items():
        gap = DASH if arm == best else f"{number(choice.skills[best] - skill)} ± {number(choice.errors[arm])}"
        price = found.prices[arm]
        dear = compute(arm, price) if timed(found) else Cell(duration(price.training_seconds))
        taken = Cell("preferred", strong=True) if arm == choice.arm else Cell("")
        rows.append((arm, [Cell(number(skill)), Cell(gap), dear, taken]))
    cost = "compute of training" if timed(found) else "training"
    return Table("", ["arm", "mean skill on tune", "behind the best ± standard error", cost, ""], rows)
