"""Means over the steps that have a number, and presence over all of them."""

from __future__ import annotations

from polytask.training.running_means import RunningMeans


def test_means_are_over_finite_losses_and_presence_is_over_all_steps() -> None:
    sums = RunningMeans()
    for losses in ({"a": 1.0, "b": 4.0}, {"a": 3.0}, {"a": float("nan")}, {}):
        sums.add(losses)
    assert sums.means() == {"a": 2.0, "b": 4.0}
    assert sums.present(["a", "b", "c"]) == {"a": 0.75, "b": 0.25, "c": 0.0}
    again = RunningMeans()
    again.load(sums.as_dict())
    again.add({"b": 0.0})
    assert again.means() == {"a": 2.0, "b": 2.0}
    assert again.present(["b"]) == {"b": 0.4}
    assert sums.present(["b"]) == {"b": 0.25}, "what was kept stays as it was"
