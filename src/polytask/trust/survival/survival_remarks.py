"""What is promised about survival in words: cells of the table of `polytask trust`, and remarks below it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from polytask.trust.survival.check_survival import SurvivalCheck
from polytask.trust.survival.fit_survival import SurvivalMember, SurvivalPlace, SurvivalTrust


def list_survival_rows(name: str, trust: SurvivalTrust) -> list[tuple[str, str, str, str, str]]:
    """List the rows of a survival task: name, known patients, bracket of the coverage, mean bound,
    calibration error."""
    return [
        (
            _name_place(name, place),
            " + ".join(f"{m.n} ({m.events} events)" for m in own.members),
            " · ".join(describe_bracket(m.check) for m in own.members),
            " · ".join(_describe_size(m.check, trust.unit) for m in own.members),
            " · ".join(describe_change(m) for m in own.members),
        )
        for place, own in trust.places.items()
    ]


def describe_bracket(check: SurvivalCheck | None) -> str:
    """Describe between which shares the coverage of a bound lies."""
    if check is None:
        return "not checked"
    return f"{check.low.mean:.0%} to {check.high.mean:.0%}"


def describe_change(member: SurvivalMember) -> str:
    """Describe the calibration error at the horizons before and after, or that calibrating was refused."""
    if member.check is None or not np.isfinite(before := member.check.error["raw"]):
        return "–"
    way = _find_way(member)
    return f"{before:.3f}, raw" if way == "raw" else f"{before:.3f} → {member.check.error[way]:.3f}"


def list_survival_remarks(name: str, trust: SurvivalTrust, level: float) -> Iterator[str]:
    """List what a reader needs to understand the rows of a survival task."""
    yield (
        f"{name}: a bound is a time that {level:.0%} of such patients shall live beyond; held is a bracket, because of "
        "patients who were censored before it nothing is known; size is the mean bound"
    )
    for place, own in trust.places.items():
        yield from _list_place_remarks(_name_place(name, place), own, trust.needed, level)


def _list_place_remarks(name: str, place: SurvivalPlace, needed: int, level: float) -> Iterator[str]:
    events = sum(m.events for m in place.members)
    if events < needed:
        yield f"{name}: {events} known events, the level needs {needed}: the bound is 0"
    elif place.share == 0:
        yield f"{name}: no predicted time is early enough for the level: the bound is 0"
    elif len(place.members) > 1:
        yield (
            f"{name}: of {len(place.members)} folds together the lower median of their bounds is given; at least "
            f"{max(0.0, 2 * level - 1):.0%} is proved, the row shows single members"
        )
    for member in place.members:
        if member.refused:
            yield f"{name}: not calibrated: {member.refused}"
        if member.check is not None:
            yield f"{name}: {_describe_tests(member, member.check)}"


def _describe_tests(member: SurvivalMember, check: SurvivalCheck) -> str:
    """Describe the tests before and after calibration, and the loss of the two ways."""
    way = _find_way(member)
    parts = []
    for told in dict.fromkeys(("raw", way)):
        tests = [f"D-calibration p {check.curve_test[told].p:.2g}"] if told in check.curve_test else []
        tests += [
            f"at {t} p {test.p:.2g}"
            for t, test in check.horizon_tests.get(told, {}).items()
            if np.isfinite(test.p)
        ]
        loss, brier = check.log_loss[told].mean, check.brier[told]
        if np.isfinite(loss):
            tests.append(
                f"log loss {loss:.3f}, Brier {brier:.3f}" if np.isfinite(brier) else f"log loss {loss:.3f}"
            )
        parts.append(f"{'raw' if told == 'raw' else 'by ' + told}: {', '.join(tests)}")
    return "; ".join(parts)


def _find_way(member: SurvivalMember) -> str:
    if member.percentiles is not None:
        return "percentiles"
    return "raw" if member.horizons is None else "horizons"


def _describe_size(check: SurvivalCheck | None, unit: str) -> str:
    if check is None or not np.isfinite(check.size.mean):
        return "0"
    return f"{check.size.mean:.3g} {unit}".strip()


def _name_place(name: str, place: str) -> str:
    return f"{name} at {place}" if place else name
