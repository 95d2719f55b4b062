"""The log as the doctor reads it."""

from __future__ import annotations

from polytask.evaluation.doctor.training_curves import TrainingCurves


def test_the_norm_of_the_gradient_is_not_the_loss_of_a_task_called_norm() -> None:
    new = {"step": 4, "loss": {"norm": 0.5}, "gradient_norm": 7.0}
    old = {"step": 8, "loss": {"grade": 0.5, "norm": 3.0}}
    course = TrainingCurves.of("", ["norm"], [new, old])
    assert course.lengths.tolist() == [7.0, 3.0]
    assert course.means[0].tolist() == [0.5]


def test_each_two_different_tasks_have_one_course_of_cosines() -> None:
    look = {"step": 1, "gradients": {"cosines": {"size grade": 0.25}}}
    course = TrainingCurves.of("", ["grade", "size", "lesion"], [look])
    assert list(course.cosines) == [("grade", "size"), ("grade", "lesion"), ("size", "lesion")]
    assert course.cosines["grade", "size"].tolist() == [0.25]


def test_shares_of_steps_are_means_over_the_epochs_by_their_steps() -> None:
    entries = [
        {"step": 1, "loss": {"grade": 1.0}, "present": {"grade": 1.0}},
        {"step": 4, "loss": {"grade": 1.0}, "present": {"grade": 0.0}},
    ]
    assert TrainingCurves.of("", ["grade"], entries).present() == {"grade": 0.25}


def test_a_task_that_the_log_never_names_has_no_share_of_steps() -> None:
    entries = [{"step": 2, "loss": {"grade": 1.0}, "present": {"grade": 0.5}}]
    assert TrainingCurves.of("", ["grade", "size"], entries).present() == {"grade": 0.5}
    assert (
        TrainingCurves.of("", ["grade"], [{"step": 0, "loss": {}, "present": {"grade": 0.5}}]).present() == {}
    )
