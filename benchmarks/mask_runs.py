"""Masks stored as runs: CPU seconds of reading a batch ÷ those with dense masks. Wanted: at most 1.05.

    python benchmarks/mask_runs.py [--rounds 15] [--batches 12] [--threads 1] [--clock cpu] [--json]

Two cohorts: volumes of about 36×50×35 with two structures (`peers/make_volumes.py`), and phantoms of 128³. Each is
prepared twice, with `--masks dense` and `--masks runs`; a round reads and augments the same training batches from both
stores, in turns, in one process without workers. The batches are compared first: they must be equal. Printed beside it:
bytes of a case, and the reading of masks alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median

from _measure import CLOCKS, Ratio, parse_options, print_and_exit, summarize_ratio, time_in_turns

MAX_READING_RATIO = 1.05
SIZES = {"36×50×35": None, "128×128×128": 128}
"""Title → edge of the phantom; None: the volumes of `peers`."""


def main() -> None:
    """Measure both cohorts and print the ratios."""
    chosen = parse_options(__doc__, rounds=15, batches=12)
    ratios: list[Ratio] = []
    details: dict[str, str] = {}
    for title, edge in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            ratio, words = measure_cohort(
                Path(folder), title, edge, chosen.rounds, chosen.batches, CLOCKS[chosen.clock]
            )
        ratios.append(ratio)
        details[title] = words
    print_and_exit(ratios, chosen.json, details)


def measure_cohort(
    root: Path, title: str, edge: int | None, rounds: int, batches: int, clock: Callable[[], float]
) -> tuple[Ratio, str]:
    """Prepare a cohort with both forms of masks, compare their batches, and time reading them."""
    import numpy as np
    import torch

    from polytask.cohort.cohort import Cohort
    from polytask.cohort.importers.nnunet import import_nnunet
    from polytask.cohort.phantom import make_phantom
    from polytask.plan.plan_schema import Plan
    from polytask.plan.work_folder import plan_into
    from polytask.prepare import Loader, Store
    from polytask.prepare.store_builder import fill_store

    torch.set_num_threads(1)
    if edge is None:
        from peers.make_volumes import write_data_set

        write_data_set(root / "raw", 15, 0, 0)
        (root / "raw" / "splits_final.json").unlink()
        import_nnunet(root / "raw", root / "cohort")
    else:
        make_phantom(root / "cohort", 9, edge, 0, 3, 1, ["lesion"])
    plan_into(root / "cohort", root / "work", folds=3, settings=["training.workers=0", "training.threads=1"])
    cohort, plan = Cohort.read(root / "cohort"), Plan.read(root / "work")
    stores = {form: Store(root / "work" / form) for form in ("dense", "runs")}
    size = {form: fill_store(store, cohort, plan, masks=form).bytes for form, store in stores.items()}
    loaders = {
        form: Loader(store, cohort, plan, 0, "train", seed=0, workers=0, steps=batches)
        for form, store in stores.items()
    }

    def read_batches(form: str) -> list[object]:
        return list(islice(loaders[form].batches(0), batches))

    (task,) = plan.folds[0].tasks
    for ours, theirs in zip(read_batches("runs"), read_batches("dense"), strict=True):
        assert torch.equal(ours.targets[task].value, theirs.targets[task].value)
    sides = {form: lambda form=form: read_batches(form) for form in stores}
    seconds = time_in_turns(sides, rounds, clock)
    quotients = [b / a for a, b in zip(seconds["dense"], seconds["runs"], strict=True)]
    masked = [c.key for c in cohort.cases if any(stores["dense"].case(c.key).known(task))]
    whole = {
        form: lambda store=store: [np.array(store.case(key).voxel[task]) for key in masked]
        for form, store in stores.items()
    }
    masks = {form: median(spent) for form, spent in time_in_turns(whole, rounds, clock).items()}
    count = len(cohort.cases)
    each = {form: 1000 * masks[form] / len(masked) for form in masks}
    image = next(iter(plan.shared.images.values()))
    read = {form: 1000 * median(seconds[form]) / batches for form in seconds}
    words = (
        f"{size['dense'] / count / 1000:.1f} kB a case dense, {size['runs'] / count / 1000:.1f} kB with runs "
        f"({size['runs'] / size['dense']:.3f}); a batch of {plan.shared.training.batch} "
        f"({image.field} {image.view or image.patch}) {read['dense']:.2f} and {read['runs']:.2f} ms; "
        f"a whole mask alone {each['dense']:.2f} and {each['runs']:.2f} ms"
    )
    return summarize_ratio(f"a batch from runs ÷ dense, {title}", quotients, MAX_READING_RATIO), words


if __name__ == "__main__":
    main()
