from __future__ import annotations

import numpy as np
import pytest

from polytask.evaluation.evaluate_run import evaluate_answers
from polytask.evaluation.missed_structures import count_missed_structures, leave_out_missed_distances
from polytask.evaluation.part_answers import CaseMetrics
from polytask.evaluation.run_comparison import measure_differences
from polytask.tasks import make_task
from tests.evaluation.worlds import answers

MASK = make_task("mask", {"kind": "segmentation", "structures": ("s", "t"), "exclusive": True})
RECORD = {"name": "x", "fold": 1, "seed": 0, "sharing": "hard"}
SPACING = (1.0, 1.0)


def case(truth: str, answer: str) -> dict[str, float]:
    """Metrics of a 32 × 32 image with squares of the named structures; the answer lies 1 mm beside."""
    drawn = []
    for names, shift in ((truth, 0), (answer, 1)):
        image = np.zeros((32, 32), np.uint8)
        for k, name in enumerate(MASK.structures):
            if name in names:
                image[4 + 12 * k : 10 + 12 * k, 4 + shift : 10 + shift] = k + 1
        drawn.append(image)
    known = np.ones(2, bool)
    return MASK.case_metrics(drawn[1], drawn[0], known, None, SPACING)


ROWS = (case("st", "st"), case("st", "s"), case("s", "st"), case("", ""))
GIVEN = answers(voxel={"mask": CaseMetrics(tuple((f"p{i}", "") for i in range(4)), ROWS)})


def test_mean_distance_is_over_cases_with_both_masks() -> None:
    """The image's diagonal of two misses made 1 mm into 23 mm."""
    assert ROWS[1]["hd95.t"] == pytest.approx(np.hypot(32, 32))
    found = evaluate_answers({"mask": MASK}, GIVEN, RECORD, "held_out")
    metrics, counts = found.metrics["mask"], found.counts["mask"]
    assert (metrics["hd95.s"].estimate, metrics["hd95.s"].n) == (1, 3)
    assert (metrics["hd95.t"].estimate, metrics["hd95.t"].n) == (1, 1)
    assert (metrics["hd95"].estimate, metrics["hd95"].n) == (1, 3)
    assert counts["missed"] == {"s": 0, "t": 1}
    assert counts["only_predicted"] == {"s": 0, "t": 1}
    assert metrics["dice.t"].n == 4


def test_comparisons_keep_the_diagonal() -> None:
    """Both runs are compared on the same cases, also where one of them misses."""
    assert GIVEN.voxel["mask"].metrics[1]["hd95.t"] == pytest.approx(np.hypot(32, 32))
    found, _ = measure_differences({"mask": MASK}, GIVEN, GIVEN)
    assert found["mask"].difference.n == 4


def test_counts_need_known_structures() -> None:
    cases = CaseMetrics((("a", ""), ("b", "")), ({"empty_truth.s": 0.0, "empty_answer.s": 1.0}, {"n": 1.0}))
    assert count_missed_structures(cases, ("s", "t")) == {
        "missed": {"s": 1, "t": 0},
        "only_predicted": {"s": 0, "t": 0},
    }
    assert leave_out_missed_distances({}, GIVEN) == GIVEN
