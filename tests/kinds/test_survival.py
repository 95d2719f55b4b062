"""What header and plan say of times to an event."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import pytest

from polytask.kinds.kind import IncompleteAnswer
from polytask.kinds.plan_reasons import PlanReasons
from polytask.kinds.survival import SurvivalKind, SurvivalSpec

KIND = SurvivalKind()


def make_spec(**says: Any) -> SurvivalSpec:
    return SurvivalSpec.model_validate({"kind": "survival", **says})


def decide(values: list[tuple[float, float]], **says: Any) -> tuple[dict[str, Any], dict[str, str]]:
    why = PlanReasons()
    return KIND.decide_fields(make_spec(**says), values, why), why.reasons


def make_events(count: int, lost: int = 0) -> list[tuple[float, float]]:
    """Events on the days 1, 2, …, and that many censored after the last of them."""
    return [(float(k + 1), 1.0) for k in range(count)] + [(count + 0.5, 0.0)] * lost


def test_horizons_of_the_header_are_kept() -> None:
    fields, why = decide(make_events(8), horizons=[3, 5])
    assert (fields["horizons"], why["horizons"]) == ([3.0, 5.0], "as in the header")
    assert (fields["unit"], fields["level"], fields["loss"], fields["buffer"]) == (
        "days",
        "subject",
        "cox",
        256,
    )


def test_horizons_are_years_within_the_follow_up_or_quartiles_of_the_events() -> None:
    fields, why = decide([(300.0, 1.0), (700.0, 1.0), (800.0, 0.0)])
    assert fields["horizons"] == [365.0, 730.0]
    assert why["horizons"].endswith("(2 events among 3 known training times)")
    fields, why = decide(make_events(5, lost=2))
    assert fields["horizons"] == [2.0, 3.0, 4.0]
    assert why["horizons"] == "quartiles of the event times (5 events among 7 known training times)"
    assert decide([(0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (8.0, 1.0)])[0]["horizons"] == [2.0]
    short = decide([(1.2345, 1.0), (2.3456, 1.0), (3.4567, 1.0)])[0]["horizons"]
    assert short == [1.79, 2.35, 2.9], "1.79005, 2.3456 and 2.90115 with three digits"


def test_horizons_that_cannot_be_judged_are_told() -> None:
    values = [(1.0, 1.0), *[(2.0, 0.0)] * 18, (9.0, 1.0)]
    _, why = decide(values, horizons=[1, 3, 20], unit="")
    assert "; at 3, 20 too few subjects are uncensored: metrics are not defined there" in why["horizons"]
    assert "; at 20 no probability: nobody was followed for longer than 9" in why["horizons"]
    _, why = decide([(1.0, 1.0), *[(2.0, 0.0)] * 9, (9.0, 1.0)], horizons=[3, 9])
    assert "too few" in why["horizons"]
    _, why = decide([(1.0, 1.0), *[(2.0, 0.0)] * 8, (9.0, 1.0)], horizons=[3, 9])
    assert why["horizons"] == "as in the header"


@pytest.mark.parametrize(("events", "bins"), [(3, 3), (4, 4), (24, 4), (25, 5), (49, 9), (50, 10), (80, 10)])
def test_an_interval_holds_five_events_but_there_are_four_to_ten(events: int, bins: int) -> None:
    fields, why = decide(make_events(events))
    assert len(fields["bins"]) == len(fields["hazards"]) == bins
    assert fields["bins"][-1] == events
    assert f"{bins} intervals" in why["bins"]


def test_intervals_end_at_the_last_event_and_hazards_have_half_an_event_added() -> None:
    fields, why = decide(make_events(4, lost=1), horizons=[3, 4.2])
    assert fields["bins"] == pytest.approx(np.quantile([1, 2, 3, 4], [0.25, 0.5, 0.75, 1]).tolist())
    assert fields["hazards"] == [0.25, 0.3, 0.375, 0.5]
    assert "up to the last event at 4 days" in why["bins"]
    assert why["bins"].endswith("used by `hazard`, which gives no probability at 4.2")
    assert decide(make_events(4, lost=1), horizons=[3, 4, 5])[1]["bins"].endswith("used by `hazard`")


def test_intervals_are_never_empty() -> None:
    values = [(1.0000001, 1.0), (1.0000002, 1.0), (2.0, 1.0), (2.0, 1.0)]
    bins = decide(values)[0]["bins"]
    assert bins == sorted(set(bins))
    assert bins[-1] == 2.0
    # The inner edge 1.99999995 is rounded to the last one.
    assert decide([(1.0, 1.0), (1.9999999, 1.0), (2.0, 1.0), (2.0, 1.0)])[0]["bins"] == [1.75, 2.0]


def test_the_constant_and_the_censoring_are_those_of_the_train_part() -> None:
    fields, why = decide([(1.0, 1.0), (2.0, 0.0), (3.0, 1.0), (4.0, 0.0)])
    assert fields["constant"] == pytest.approx(log(4 * 2) / 2, abs=1e-4)
    assert fields["censoring"] == {"times": [2.0, 4.0], "survival": [0.666667, 0.0]}
    assert "(2 of 4 training times)" in why["censoring"]
    assert fields["baseline"] == {}


def test_the_constant_of_hazards_follows_the_fields_and_that_of_cox_does_not() -> None:
    fields = {"loss": "hazard", "bins": [2.0], "hazards": [0.5], "censoring": {}}
    assert KIND.find_constant(fields) == pytest.approx(log(2))
    assert KIND.find_constant({**fields, "loss": "cox"}) is None


def test_time_and_event_are_both_known_or_neither() -> None:
    spec = make_spec()

    def read(**cells: str) -> tuple[float, float] | None:
        return KIND.read_answer(
            spec, "t", lambda column, parse: parse(cells[column]) if column in cells else None
        )

    assert read(t_time="0", t_event="0") == (0.0, 0.0)
    assert read() is None
    with pytest.raises(IncompleteAnswer, match="t has no time"):
        read(t_event="0")
    with pytest.raises(IncompleteAnswer, match="t has no event"):
        read(t_time="0")


def test_subjects_are_stratified_by_their_events() -> None:
    found = KIND.list_strata(make_spec(), {"a": [(1.0, 1.0)], "b": [(1.0, 0.0)]})
    assert found == {"a": {"", "event"}, "b": {"", "censored"}}
    value, known = KIND.make_arrays(make_spec(), [(1.0, 1.0), None])
    assert (value.tolist(), known.tolist()) == ([[1, 1], [0, 0]], [True, False])
    assert KIND.make_arrays(make_spec(), [])[0].shape == (0, 2)


def test_an_origin_is_a_visit() -> None:
    assert list(KIND.list_breaches(make_spec(), {}, [])) == []
    assert list(KIND.list_breaches(make_spec(origin="v0"), {}, ["v0"])) == []
    ((key, told),) = KIND.list_breaches(make_spec(origin="v1"), {}, ["v0"])
    assert (key, "is not in the header's `visits`" in told) == ("origin", True)


def test_an_importer_counts_days_where_no_unit_is_given() -> None:
    assert KIND.make_spec([], "visit", "").unit == "days"
    assert KIND.make_spec([], "visit", "months").unit == "months"
    assert KIND.list_measured_columns(make_spec(), "t").keys() == {"t_time"}
