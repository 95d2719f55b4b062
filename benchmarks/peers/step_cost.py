"""Where the seconds of a training step go: Polytask's network with each first stage beside the UNet of run_monai.py.

    python benchmarks/peers/step_cost.py [--folder FOLDER] [--rounds 5] [--precision float32] [--json]

On the volumes of compare.py, made in FOLDER where they are missing. One thread, CPU seconds of this process, batches of
two that were read before, the sides in turns. Printed are the parameters, GFLOP of a forward pass and seconds of a
whole step, both a volume; of Polytask also the parts of a step and what reading and augmenting takes, in ms a volume,
and seconds of an evaluation on tune. MONAI is that of this environment. Nothing is bounded.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from compare import DATA_SET, OURS
from make_volumes import write_data_set
from run_monai import BATCH, PATCH, RATE, MonaiTrainer
from torch.utils.flop_counter import FlopCounterMode

from polytask.cohort.importers.nnunet import import_nnunet
from polytask.plan.rules.topology import FIRST_STAGES
from polytask.plan.work_folder import plan_into
from polytask.prepare import prepare
from polytask.training.rehearsal import Rehearsal, load_rehearsal

READ_BATCHES = 6


def main() -> None:
    """Measure all sides and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "polytask-peers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure_sides(chosen.folder, chosen.rounds, chosen.precision)
    if chosen.json:
        print(json.dumps(rows, indent=1))
        return
    for side, row in rows.items():
        more = "".join(f"; {key} {value}" for key, value in row["more"].items())
        print(
            f"{side}, {chosen.precision}: {row['parameters'] / 1e6:.2f} M parameters, {row['gflop']:.2f} GFLOP and "
            f"{row['seconds']:.3f} s a volume{more}"
        )


def measure_sides(folder: Path, rounds: int, precision: str) -> dict[str, dict[str, Any]]:
    """Return side → parameters, GFLOP and seconds a volume, and more."""
    data = folder / DATA_SET
    if not (data / "dataset.json").exists():
        write_data_set(data, training=50, test=12, seed=0)
    torch.manual_seed(0)
    monai = MonaiTrainer(precision == "bf16")
    images, labels = torch.randn(BATCH, 1, *PATCH), torch.randint(0, 3, (BATCH, 1, *PATCH)).float()
    rehearsals, rows, steps = {}, {}, {"monai": partial(monai.take_step, images, labels, RATE)}
    rows["monai"] = describe_network(monai.network, images)
    with tempfile.TemporaryDirectory() as place:
        cohort = Path(place) / "cohort"
        import_nnunet(data, cohort)
        for topology in FIRST_STAGES:
            work, side = Path(place) / topology, f"{OURS}, {topology}"
            settings = {
                "images.image.topology": topology,
                "training.batch": BATCH,
                "training.precision": precision,
                "training.threads": 1,
                "training.workers": 0,
            }
            words = [f"{path}={value}" for path, value in settings.items()]
            plan_into(cohort, work, splits=cohort / "splits_final.json", settings=words, jobs=1)
            prepare(work, jobs=1)
            rehearsals[side] = rehearsal = load_rehearsal(work, device="cpu")
            batch = rehearsal.batches(1)[0]
            steps[side] = partial(rehearsal.step, batch)
            rows[side] = describe_network(rehearsal.state.network, batch)
        for side, seconds in time_in_turns(steps, rounds).items():
            rows[side]["seconds"] = median(seconds) / BATCH
        for side, rehearsal in rehearsals.items():
            rows[side]["more"] = measure_parts(rehearsal, rounds)
    return rows


def describe_network(network: torch.nn.Module, batch: Any) -> dict[str, Any]:
    """Count the parameters of a network, and the GFLOP of a forward pass a volume."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(batch)
    parameters = sum(p.numel() for p in network.parameters())
    return {"parameters": parameters, "gflop": counter.get_total_flops() / BATCH / 1e9, "more": {}}


def time_in_turns(steps: dict[str, Any], rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of each side in each round, after one round that warms up."""
    seconds: dict[str, list[float]] = {side: [] for side in steps}
    for _ in range(rounds + 1):
        for side, step in steps.items():
            started = time.process_time()
            step()
            seconds[side].append(time.process_time() - started)
    return {side: values[1:] for side, values in seconds.items()}


def measure_parts(rehearsal: Rehearsal, rounds: int) -> dict[str, str]:
    """Measure the parts of a step, in ms a volume, reading, and an evaluation on tune."""
    batch, laps, last = rehearsal.batches(1)[0], {}, [0.0]

    def lap(part: str) -> None:
        now = time.process_time()
        laps[part] = laps.get(part, 0.0) + now - last[0]
        last[0] = now

    for _ in range(rounds):
        last[0] = time.process_time()
        rehearsal.step(batch, lap)
    started = time.process_time()
    rehearsal.batches(READ_BATCHES)
    read = (time.process_time() - started) / READ_BATCHES
    started = time.process_time()
    rehearsal.tune()
    tune = time.process_time() - started
    parts = {part: f"{1000 * value / rounds / BATCH:.1f} ms" for part, value in laps.items()}
    return parts | {"reading": f"{1000 * read / BATCH:.1f} ms", "an evaluation on tune": f"{tune:.2f} s"}


if __name__ == "__main__":
    main()
