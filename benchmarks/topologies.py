"""What the first stage of a 3D network costs and gains: full, narrow, strided, light (`images.*.topology`).

    python benchmarks/topologies.py cost [--rounds 5] [--volume 256 256 160] [--json]
    python benchmarks/topologies.py dice --cohort coarse|fine|nsclc [--seeds 3] [--seconds 15] [--subjects 48]
                                         [--precision float32] [--rows FILE] [--data ../shared/data] [--json]

`full` begins with 16 channels at full resolution, `narrow` with 8, `strided` with 32 channels at half resolution,
`light` with 16 there. Everything runs on one thread and is counted in CPU seconds of this process.

`cost` prints FLOP a voxel of a forward pass with one decoder, parameters, seconds of a training step (two windows of
64×64×48 voxels; the sides alternate), and the seconds of a whole volume in sliding windows of 64³ that overlap by half.
The ratio of `strided` is held against its goal, 2.5.

`dice` trains each topology for the same CPU seconds (as `train --minutes` does, on the clock of the process: with data
path, optimizer and evaluations on tune), whatever number of steps that gives, on one fold of a cohort of its own
seed. The batch is the same for all; the best checkpoint on tune is judged. Printed are the mean Dice of the held-out
part and the difference to `full` over the seeds with its 95 % interval (Student's t). Cohorts: `coarse` and `fine` are
phantoms of 24³ voxels, organs of 4 to 20 voxels, and lesions of 4 to 8 voxels with nodes of 2; `nsclc` are lung CT
crops of 46³ voxels at 2 mm, seen whole at 4 mm (24³ voxels) and judged at 2 mm, if the data is there.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from _measure import print_and_exit, summarize_ratio, time_in_turns

TOPOLOGIES = ("full", "narrow", "strided", "light")
MIN_SPEED_RATIO = 2.5
WINDOW = (64, 64, 64)
STEP_BATCH = (2, 1, 64, 64, 48)
SIZE = 24
SETTINGS = (
    "training.batch=2",
    "training.workers=0",
    "training.threads=1",
    "training.patience=0",
    "training.rate=0.002",
)
COHORT_TASKS = {"coarse": "organs", "fine": "lesion", "nsclc": "tumor"}
NSCLC_SETTINGS = ("images.scan.spacing=[4,4,4]",)
NSCLC_HEADER = """
polytask: 1
name: lung crops
inputs:
  scan: {kind: image, dims: 3, channels: {ct: CT}}
tasks:
  tumor: {kind: segmentation, image: scan, labels: {tumor: 1}}
"""


def make_bare_network(topology: str, size: Sequence[int], planes: int = 1) -> tuple[Any, Any]:
    """Make the network that a CPU plan with this topology has for images of this size; return (network, counts)."""
    import torch

    from polytask.model.building_blocks import EncoderSpec
    from polytask.model.network import Network
    from polytask.model.network_settings import NetworkSpec
    from polytask.plan.rules.topology import plan_topology
    from polytask.tasks import make_task

    t = plan_topology(size, (1.0,) * len(size), planes, "cpu", None, topology)  # type: ignore[arg-type]
    encoder = EncoderSpec(t.dims, planes, t.widths, t.blocks, t.strides, t.kernels)
    fields = {"kind": "segmentation", "structures": ("a",), "exclusive": True, "fractions": (0.1,)}
    torch.manual_seed(0)
    spec = NetworkSpec(images={"scan": encoder}, voxel_image={"mask": "scan"})
    return Network(spec, {"mask": make_task("mask", fields)}), t


def take_step(network: Any, batch: Any) -> None:
    """Run a network forward and backward, without an optimizer, which costs all topologies the same."""
    network.train()
    network.zero_grad()
    outputs = network.voxel_outputs("scan", batch)["mask"]
    sum(level.square().mean() for level in outputs).backward()


def measure_costs(rounds: int, volume: Sequence[int], as_json: bool) -> None:
    """Measure every topology and print its costs, and the ratios to `full`."""
    import torch

    from polytask.inference.sample_prediction import run_voxel_windows
    from polytask.inference.window_batch import choose_window_batch
    from polytask.inference.window_blending import blend_windows
    from polytask.plan.rules.network_cost import count_parameters
    from polytask.plan.rules.view_sizes import count_view_flops

    torch.set_num_threads(1)
    made = {name: make_bare_network(name, WINDOW) for name in TOPOLOGIES}
    batch, image = torch.randn(STEP_BATCH), torch.randn(1, *volume)

    sides = {n: partial(take_step, net, batch) for n, (net, _) in made.items()}
    steps = time_in_turns(sides, rounds, time.process_time)

    def predict_volume(network: Any, t: Any) -> None:
        spec = network.spec.images["scan"]
        at_once = choose_window_batch(spec, WINDOW, 1, torch.device("cpu"))
        with torch.inference_mode():
            blend_windows(
                partial(run_voxel_windows, network.eval(), "scan", None), image, WINDOW, 0.5, at_once
            )

    whole = time_in_turns(
        {n: partial(predict_volume, *pair) for n, pair in made.items()}, 1, time.process_time, warm=0
    )
    ratios, details = [], {}
    for name, (_, t) in made.items():
        details[name] = (
            f"{count_view_flops(t, WINDOW, 1) / 64**3 / 1e3:.1f} kFLOP a voxel, "
            f"{count_parameters(t, 1) / 1e6:.2f} M parameters, channels {', '.join(map(str, t.widths))}; "
            f"{median(steps[name]):.3f} s a step, {whole[name][0]:.1f} s a volume of {'×'.join(map(str, volume))}"
        )
        for what, seconds in (("step", steps), ("volume", whole)):
            if name != "full":
                quotients = [a / b for a, b in zip(seconds["full"], seconds[name], strict=True)]
                goal = MIN_SPEED_RATIO if (what, name) == ("volume", "strided") else 1.0
                ratios.append(summarize_ratio(f"{what}: full ÷ {name}", quotients, goal, "at least"))
    print_and_exit(ratios, as_json, details)


def write_nsclc_cohort(folder: Path, data: Path, subjects: int, seed: int) -> Path:
    """Write a cohort that names files of the lung CT crops, drawn by the seed among those with a tumor."""
    import numpy as np

    source = data / "nsclc_ct"
    with (source / "labels.csv").open() as file:
        names = [f"{int(row['PatientID']):03}" for row in csv.DictReader(file) if int(row["mask_voxels"]) > 0]
    names = [name for name in names if (source / "images" / f"{name}.nii.gz").is_file()]
    drawn = np.random.default_rng(seed).permutation(names)[:subjects]
    folder.mkdir(parents=True)
    (folder / "cohort.yaml").write_text(NSCLC_HEADER)
    lines = [f"{n},{source}/images/{n}.nii.gz,{source}/masks/{n}.nii.gz" for n in drawn]
    (folder / "cases.csv").write_text("\n".join(["subject,scan.ct,tumor", *lines]) + "\n")
    return folder


def list_topology_overrides(plan: Any, planes: int, topology: str) -> tuple[str, ...]:
    """List the settings that give the planned image another topology; the sizes of views and patches stay."""
    from polytask.plan.rules.topology import plan_topology

    image = plan.shared.images["scan"]
    t = plan_topology(image.patch or image.view, image.spacing, planes, "cpu", None, topology)  # type: ignore[arg-type]
    values = {"strides": t.strides, "widths": t.widths, "blocks": t.blocks}
    return tuple(f"images.scan.{key}={json.dumps(value)}" for key, value in values.items())


class StepCounter:
    """A reporter that only counts the steps of a training."""

    steps = 0

    def begin(self, title: str, done: int, total: int) -> None:
        """Nothing to count yet."""

    def step(self, step: int, losses: object) -> None:
        """Count a step that is done."""
        self.steps += 1

    def move_end(self, total: int) -> None:
        """Nothing to count."""

    def say(self, text: str) -> None:
        """Nothing to show."""


def measure_seed(chosen: argparse.Namespace, seed: int) -> dict[str, dict[str, float]]:
    """Train every topology on a cohort of its own seed; return topology → Dice, steps and CPU seconds."""
    from polytask.cohort.phantom import make_phantom
    from polytask.evaluation import evaluate
    from polytask.plan.work_folder import plan_into
    from polytask.prepare import prepare
    from polytask.training import train

    task, rows = COHORT_TASKS[chosen.cohort], {}
    with tempfile.TemporaryDirectory() as folder:
        cohort, work = Path(folder) / "cohort", Path(folder) / "work"
        if chosen.cohort == "nsclc":
            write_nsclc_cohort(cohort, chosen.data, chosen.subjects, seed)
        else:
            make_phantom(cohort, chosen.subjects, SIZE, seed, 3, 1, [task])
        more = NSCLC_SETTINGS if chosen.cohort == "nsclc" else ()
        precision = f"training.precision={chosen.precision}"
        settings = (*SETTINGS, *more, precision, "images.scan.topology=full")
        plan = plan_into(cohort, work, folds=3, settings=settings).plan
        prepare(work)
        train(
            work, name="warm", steps=2, device="cpu"
        )  # loads what the first training would load in its time
        for name in TOPOLOGIES:
            started, counter = time.process_time(), StepCounter()
            overrides = list_topology_overrides(plan, 1, name)
            run = train(
                work,
                name=name,
                seed=seed,
                device="cpu",
                overrides=overrides,
                minutes=chosen.seconds / 60,
                reporter=counter,
            )
            seconds = time.process_time() - started
            metrics = evaluate(run.folder, device="cpu", resamples=100).metrics[task]
            found = {key: float(m.estimate) for key, m in metrics.items() if key.startswith("dice")}
            rows[name] = {**found, "steps": counter.steps, "seconds": seconds}
    return rows


def summarize_difference(values: Sequence[float]) -> str:
    """Write mean and 95 % interval of differences, one per seed, by Student's t."""
    from scipy.stats import t

    if len(values) < 2:
        return f"{values[0]:+.3f}"
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):+.3f} (95 % {mean(values) - half:+.3f} to {mean(values) + half:+.3f})"


def compare_dice(chosen: argparse.Namespace) -> None:
    """Train all seeds and print Dice by topology, and the differences to `full`."""
    # Budgets are those of this process, whatever else runs on the machine.
    time.perf_counter = time.process_time
    rows = json.loads(chosen.rows.read_text()) if chosen.rows and chosen.rows.exists() else []
    for seed in range(len(rows), chosen.seeds):
        rows.append(measure_seed(chosen, seed))
        if chosen.rows:
            chosen.rows.write_text(json.dumps(rows))
        if not chosen.json:
            words = [
                f"{n} Dice {v['dice']:.3f} after {v['steps']} steps, {v['seconds']:.0f} s"
                for n, v in rows[-1].items()
            ]
            print(f"{chosen.cohort}, seed {seed}: {'; '.join(words)}", flush=True)
    if chosen.json:
        print(json.dumps({"cohort": chosen.cohort, "seeds": rows}, indent=1))
        return
    for key in [k for k in rows[0]["full"] if k.startswith("dice")]:
        for name in TOPOLOGIES:
            more = summarize_difference([row[name][key] - row["full"][key] for row in rows])
            against = "" if name == "full" else f"; minus full {more}"
            print(f"{chosen.cohort}, {key}: {name} {mean(row[name][key] for row in rows):.3f}{against}")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("cost", "dice"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--volume", type=int, nargs=3, default=[256, 256, 160])
    parser.add_argument("--cohort", choices=list(COHORT_TASKS), default="coarse")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--subjects", type=int, default=48)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of `nsclc_ct`")
    parser.add_argument(
        "--rows", type=Path, help="keep finished seeds in this file, and do not train them again"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    chosen = parser.parse_args()
    if chosen.what == "cost":
        measure_costs(chosen.rounds, chosen.volume, chosen.json)
    else:
        compare_dice(chosen)


if __name__ == "__main__":
    main()
