"""When a task counts as not learned, and what is advised."""

from __future__ import annotations

from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.unlearned_tasks import find_unlearned_tasks
from tests.evaluation.doctor.worlds import make_chart, make_epochs, make_look


def find_unlearned(size: float, grade: float = 0.5, per_epoch: int = 10) -> list[Finding]:
    """What is said after 4 epochs of a plan with 10 epochs of 30 steps."""
    return list(
        find_unlearned_tasks(make_chart(make_epochs({"size": size, "grade": grade}, per_epoch=per_epoch)))
    )


def test_a_loss_that_ends_at_a_constants_has_learned_nothing() -> None:
    (found,) = find_unlearned(0.95)
    assert found.tasks == ("size",)
    assert found.evidence == {"steps": 40.0, "planned": 300.0, "loss.size": 0.95}
    assert not find_unlearned(0.94)
    (found,) = find_unlearned(0.97, 0.99)
    assert found.tasks == ("size", "grade")


def test_below_a_tenth_of_the_plan_more_steps_are_advised() -> None:
    assert find_unlearned(1.0, per_epoch=7)[0].remedy.startswith("train longer")
    assert find_unlearned(1.0, per_epoch=8)[0].remedy.startswith("look at the labels")


def test_a_task_that_another_finding_names_is_not_named_again() -> None:
    losses = {"size": 1.0, "grade": 0.5}
    looks = [make_look(k + 1, losses, {"size": 0.0}) for k in range(6)]
    assert not list(find_unlearned_tasks(make_chart([*looks, *make_epochs(losses)])))
    assert not list(find_unlearned_tasks(make_chart([])))
