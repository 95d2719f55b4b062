"""The numbers of the page as rows of text: task by task, Δm, costs, skill on tune."""

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
    """A task's section.

    Args:
        metric: with its direction. effects: an arm a row.
        notes: what a reader must be told.
    """

    name: str
    kind: str
    level: str
    metric: str
    effects: Table
    notes: list[str]


def tasks(found: Conclusions) -> list[TaskPart]:
    """Every task that was compared."""
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
    """An arm a row: values, difference, what is said of it, and what it rests on."""
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
    """A row of `effects`."""
    e, v = c.effect, c.verdict
    if not isfinite(e.estimate):
        return [Cell(DASH)] * 5 + [Cell("not defined")] + [Cell(DASH)] * 2 + [checks(c)]
    shown = v.word in ("better", "worse")
    level = f"at {percent(v.level)}" if isfinite(v.level) else ""
    could = f"would have shown ≥ {amount(v.detectable, asked)}" if isfinite(v.detectable) else ""
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
    """What other tests of the same question say, not adjusted."""
    told = "; ".join(f"{k.name}: {_p(k.p)}" for k in c.checks)
    cases = sorted({k.n for k in c.checks})
    return Cell(told, n=f"n {', '.join(map(str, cases))}") if told else Cell(DASH)


def _p(p: float) -> str:
    text = probability(p)
    return f"p {text}" if text[:1] == "<" else f"p = {text}"


def notes(rows: Sequence[Comparison]) -> list[str]:
    """Each once, with the arms it is about unless it is about all; then who carries an effect. One seed is said on top
    of the page."""
    by_note: dict[str, list[str]] = {}
    for c in rows:
        for note in c.effect.notes:
            by_note.setdefault(note, []).append(c.arm)
    by_note.pop(ONE_SEED, None)
    every = len({c.arm for c in rows})
    told = [n if len(arms) == every else f"{', '.join(arms)}: {n}" for n, arms in by_note.items()]
    return told + [f"{c.arm}: {carried(c)}" for c in rows if c.effect.carriers]


def carried(c: Comparison) -> str:
    """Who carries an effect."""
    who = c.effect.carriers
    verb = "carries" if len(who) == 1 else "carry"
    return f"{counted(len(who), 'subject')} {verb} this effect: {', '.join(who)}"


def delta_m(found: Conclusions) -> tuple[Table | None, str]:
    """Δm by arm with the tasks it rests on; why others are left out, beneath where it is the same for all arms."""
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
    """A percentage with its sign."""
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
    """Every arm's costs, each with its ratio to the single networks together."""
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
    """Whether any arm's steps were timed in turns with the single networks'."""
    return any(price.compute for price in found.prices.values())


def compute(arm: str, price: Price) -> Cell:
    """A training step beside one of each single network, with the quartiles of the turns it was timed in."""
    c = price.compute
    if c is None or arm == BASELINE:
        return Cell("1" if c else DASH)
    return Cell(times(c.median), f"{c.low:.2f} to {c.high:.2f}" if c.low < c.high else "")


def cost(what: str, value: float) -> str:
    """One of them, in its unit."""
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
    """What tune prefers, and by how much."""
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
