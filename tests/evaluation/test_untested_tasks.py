"""A task without a result is named with its reason."""

from __future__ import annotations

from polytask.evaluation.untested_tasks import explain_untested_tasks


def test_a_site_that_is_held_out_is_named() -> None:
    sites = {"s1": "A", "s2": "A"}
    counts = {"lesion": {"known": 2}, "grade": {"known": 0}}
    assert explain_untested_tasks(counts, {"os": "none of the 7 training subjects has an answer"}, sites) == (
        "os is not testable at site A: none of the 7 training subjects has an answer.",
        "grade is not testable at site A: none of the 2 subjects has a known answer.",
    )


def test_several_sites_are_not_named_and_known_tasks_say_nothing() -> None:
    sites = {"s1": "A", "s2": "B"}
    assert explain_untested_tasks({"grade": {"known": 0}}, {}, sites) == (
        "grade is not testable here: none of the 2 subjects has a known answer.",
    )
    assert explain_untested_tasks({"grade": {"known": 1}}, {}, sites) == ()
