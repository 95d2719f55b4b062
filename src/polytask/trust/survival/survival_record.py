"""What is promised about survival as plain data for `trust.json`, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from polytask.array_types import NAN
from polytask.trust.fit_task import Spread
from polytask.trust.survival.bounds import MemberBound
from polytask.trust.survival.calibration_tests import CalibrationTest
from polytask.trust.survival.censoring import CensoringModel
from polytask.trust.survival.check_survival import SurvivalCheck
from polytask.trust.survival.fit_survival import SurvivalMember, SurvivalPlace, SurvivalTrust
from polytask.trust.survival.horizon_calibrator import HorizonCalibrator
from polytask.trust.survival.percentile_calibrator import PercentileCalibrator


def describe_survival(trust: SurvivalTrust) -> dict[str, Any]:
    """Return what is promised for one task as plain data."""
    return asdict(trust)


def parse_survival(entry: Mapping[str, Any]) -> SurvivalTrust:
    """Parse the plain data of one task; raises ValueError where they cannot be."""
    places = {
        str(place): SurvivalPlace(float(own["share"]), tuple(_parse_member(m) for m in own["members"]))
        for place, own in entry["places"].items()
    }
    if not all(0 <= own.share < 1 for own in places.values()):
        raise ValueError("a share outside 0 to 1")
    horizons = tuple(float(t) for t in entry["horizons"])
    return SurvivalTrust(str(entry["unit"]), int(entry["needed"]), horizons, places)


def _parse_member(entry: Mapping[str, Any]) -> SurvivalMember:
    bound, percentiles, horizons = entry["bound"], entry["percentiles"], entry["horizons"]
    censoring = bound["censoring"]
    model = CensoringModel(
        float(censoring["center"]),
        float(censoring["scale"]),
        float(censoring["ratio"]),
        _parse_numbers(censoring["times"]),
        _parse_numbers(censoring["hazard"]),
    )
    fitted = percentiles and PercentileCalibrator(
        _parse_numbers(percentiles["predicted"]), _parse_numbers(percentiles["observed"])
    )
    if fitted and len(fitted.predicted) != len(fitted.observed):
        raise ValueError("a map with different numbers of knots")
    moved = horizons and HorizonCalibrator(tuple((float(a), float(b)) for a, b in horizons["numbers"]))
    if not model.scale > 0 or len(model.times) != len(model.hazard):
        raise ValueError("a model of the censoring that cannot be")
    return SurvivalMember(
        int(entry["n"]),
        int(entry["events"]),
        MemberBound(model, float(bound["followed"])),
        fitted,
        moved,
        str(entry["refused"]),
        entry["check"] and _parse_check(entry["check"]),
    )


def _parse_check(entry: Mapping[str, Any]) -> SurvivalCheck:
    return SurvivalCheck(
        low=_parse_spread(entry["low"]),
        high=_parse_spread(entry["high"]),
        size=_parse_spread(entry["size"]),
        none=float(entry["none"]),
        subjects=int(entry["subjects"]),
        log_loss={str(way): _parse_spread(own) for way, own in entry["log_loss"].items()},
        brier={str(way): _parse_number(own) for way, own in entry["brier"].items()},
        error={str(way): _parse_number(own) for way, own in entry["error"].items()},
        curve_test={str(way): _parse_test(own) for way, own in entry["curve_test"].items()},
        horizon_tests={
            str(way): {str(t): _parse_test(own) for t, own in tests.items()}
            for way, tests in entry["horizon_tests"].items()
        },
    )


def _parse_numbers(entry: Any) -> tuple[float, ...]:
    return tuple(float(x) for x in entry)


def _parse_number(entry: Any) -> float:
    return NAN if entry is None else float(entry)


def _parse_spread(entry: Mapping[str, Any]) -> Spread:
    return Spread(_parse_number(entry["mean"]), _parse_number(entry["sd"]))


def _parse_test(entry: Any) -> CalibrationTest:
    statistic, p, n = entry
    return CalibrationTest(_parse_number(statistic), _parse_number(p), int(n))
