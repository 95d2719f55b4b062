"""Train and predict with Polytask as a user of the command line would: import, plan, prepare, `train --minutes`.

The budget counts CPU seconds: the clock of the training is replaced before it is loaded, so that other work on the
machine does not shorten the training. One thread, no data workers. One fold: of its training part Polytask itself holds
back 15 % to choose the best checkpoint, which the peers train on too.
"""

from __future__ import annotations

import time

time.perf_counter = time.process_time  # before the package binds it

from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from _peer_cases import (  # noqa: E402
    PeerReport,
    count_cpu_seconds,
    find_case_name,
    join_sizes,
    list_test_images,
    parse_runner_options,
    predict_test_cases,
    write_peer_report,
)

PLANNED = "planned"
"""What the plan chose is kept."""


def name_work_folder(topology: str, precision: str) -> str:
    """Name the work folder of a plan, from what is set by hand in it."""
    return "-".join(["work", *[value for value in (topology, precision) if value != PLANNED]])


def main() -> None:
    """Train once and predict all test cases, without and with mirroring."""
    chosen = parse_runner_options(__doc__, topology=PLANNED, precision=PLANNED)
    from polytask import Predictor, train
    from polytask.cohort.cohort import Cohort
    from polytask.cohort.importers.nnunet import import_nnunet
    from polytask.plan.plan_schema import Plan
    from polytask.plan.work_folder import plan_into
    from polytask.prepare import prepare

    started = count_cpu_seconds()
    cohort, work = chosen.work / "cohort", chosen.work / name_work_folder(chosen.topology, chosen.precision)
    prepare_seconds = 0.0
    if not (work / "store" / "store.json").exists():
        if not (cohort / "cohort.yaml").exists():
            import_nnunet(chosen.data, cohort)
        settings = ["training.threads=1", "training.workers=0"]
        by_hand = {"images.image.topology": chosen.topology, "training.precision": chosen.precision}
        settings += [f"{path}={value}" for path, value in by_hand.items() if value != PLANNED]
        plan_into(cohort, work, splits=cohort / "splits_final.json", settings=settings, jobs=1)
        prepare(work, jobs=1)
        prepare_seconds = count_cpu_seconds() - started
    started = count_cpu_seconds()
    counter = StepCounter()
    run = train(
        work,
        minutes=chosen.seconds / 60,
        seed=chosen.seed,
        name=f"seed{chosen.seed}-{chosen.seconds:g}",
        workers=0,
        device="cpu",
        reporter=counter,
    )
    train_seconds = count_cpu_seconds() - started
    predictor = Predictor.load(run.folder, device="cpu")
    tests = Cohort.read(cohort)
    by_image = {
        find_case_name(image): next(s for s in tests.samples() if s.subject == find_case_name(image))
        for image in list_test_images(chosen.data)
    }

    def predict(image: Path, tta: bool) -> np.ndarray:
        (answer,) = predictor.answers(tests, [by_image[find_case_name(image)]], tta=tta)
        return answer.voxel["mask"].array[0]

    case_seconds = {
        way: predict_test_cases(chosen.data, chosen.out, way, partial(predict, tta=tta), count)
        for way, tta, count in (("once", False, None), ("mirrored", True, chosen.mirrored))
    }
    plan = Plan.read(work)
    image = plan.shared.images["image"]
    network = (
        f"{image.field} {join_sizes(image.view or image.patch or ())}, widths {join_sizes(image.widths)}, "
        f"batch {plan.shared.training.batch}, {image.topology}, {plan.shared.training.precision}"
    )
    write_peer_report(
        chosen.out, PeerReport(counter.steps, train_seconds, prepare_seconds, case_seconds, network)
    )


class StepCounter:
    """Counts the steps of a training."""

    steps = 0

    def begin(self, title: str, done: int, total: int) -> None:
        """Nothing to count yet."""

    def step(self, step: int, losses: object) -> None:
        """Count a step that is done."""
        self.steps += 1

    def move_end(self, total: int) -> None:
        """Nothing to count."""

    def say(self, text: str) -> None:
        """Show a message of the training."""
        print(text, flush=True)


if __name__ == "__main__":
    main()
