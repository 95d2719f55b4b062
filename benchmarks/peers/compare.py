"""Polytask beside nnU-Net 2.8.1 and a MONAI 1.6.1 script: the same volumes, the same CPU seconds, one core, one thread.

    python benchmarks/peers/compare.py [--folder FOLDER] [--seconds 240] [--seeds 0 1] [--systems polytask,…] [--json]

Makes the environment of the peers and the volumes where they are missing, then trains every system once per seed, the
systems in turns and every second seed in reverse order, each in a process of its own. What is finished stays in FOLDER
and is not trained again. Dice is the mean over both structures and all test cases, by one code for all (`as one`: of
both as one structure); seconds are CPU seconds, with workers; those of a case run from the file to a label map on its
grid. Differences to Polytask are paired twice: over test cases, of the means over seeds (this interval says nothing of
the luck of a training), and over seeds, of the means over cases (this one does; it needs two seeds and is wide with
few). Who is ahead is said only where both intervals agree. Nothing is bounded: the table says who leads.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from _peer_cases import REPORT_FILE, PeerReport, find_case_name, list_test_images, read_peer_report
from make_environment import ENVIRONMENT, find_peer_python, make_environment
from make_volumes import LABELS, TRUTH_FOLDER, write_data_set
from scipy.stats import t as student

from polytask.tasks.mask_metrics import compute_dice_overlap

HERE = Path(__file__).parent
DATA_SET = "Dataset901_Bodies"
OURS = "polytask"
SYSTEMS: dict[str, tuple[str, tuple[str, ...]]] = {
    OURS: ("run_polytask.py", ()),
    "nnunet-planned": ("run_nnunet.py", ("--network", "planned")),
    "nnunet-light": ("run_nnunet.py", ("--network", "light")),
    "monai": ("run_monai.py", ()),
}
"""Name → runner and its options. What `--systems` compares by default."""
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    **{
        f"{OURS}-{name}": ("run_polytask.py", ("--topology", name))
        for name in ("full", "narrow", "strided", "light")
    },
    f"{OURS}-float32": ("run_polytask.py", ("--precision", "float32")),
    "monai-bf16": ("run_monai.py", ("--precision", "bf16")),
}
"""Further systems that `--systems` may name: another first stage or precision than those of `SYSTEMS`."""
WAYS = ("once", "mirrored")
"""Ways to predict: every window once, or averaged with its mirror images."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Training:
    """One training of one system.

    Args:
        dice: way to predict → Dice of each test case, mean over its structures.
        together: Dice of each test case for all structures as one, predicted once: what is left when mirroring has
            mixed up their sides.
    """

    system: str
    seed: int
    report: PeerReport
    dice: dict[str, list[float]]
    together: list[float]


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "polytask-peers")
    parser.add_argument("--environment", type=Path, default=ENVIRONMENT)
    parser.add_argument("--seconds", type=float, default=240, help="CPU seconds of every training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--training", type=int, default=50, help="volumes to train on")
    parser.add_argument("--test", type=int, default=12)
    parser.add_argument("--mirrored", type=int, default=4, help="test cases to predict with mirroring too")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    chosen = parser.parse_args()
    systems = chosen.systems.split(",")
    if unknown := [name for name in systems if name not in SYSTEMS | VARIANTS]:
        parser.error(f"--systems {unknown[0]}: unknown; known are {', '.join(SYSTEMS | VARIANTS)}")
    data = chosen.folder / DATA_SET
    print(make_environment(chosen.environment), file=sys.stderr)
    if not (data / "dataset.json").exists():
        write_data_set(data, chosen.training, chosen.test, seed=0)
    trainings = []
    for seed in chosen.seeds:
        for system in systems if seed % 2 == 0 else reversed(systems):
            out = chosen.folder / f"{chosen.seconds:g}-seconds" / f"{system}-{seed}"
            if not (out / REPORT_FILE).exists():
                run_system(system, data, out, chosen.environment, chosen.seconds, seed, chosen.mirrored)
            report = read_peer_report(out)
            dice = {way: score_predictions(data, out / way, score_label_map) for way in report.case_seconds}
            together = score_predictions(data, out / "once", score_whole_body)
            trainings.append(Training(system, seed, report, dice, together))
            print(f"{system}, seed {seed}: Dice {np.mean(dice['once']):.3f}", file=sys.stderr, flush=True)
    sizes = measure_case_bytes(data, chosen.folder)
    if chosen.json:
        print(json.dumps(summarize_trainings(trainings) | {"bytes_per_case": sizes}, indent=1))
    else:
        print("\n".join([*format_table(trainings), *format_bytes(sizes)]))


def run_system(
    system: str, data: Path, out: Path, environment: Path, seconds: float, seed: int, mirrored: int
) -> None:
    """Run one system's training and predictions in a process of its own."""
    runner, options = (SYSTEMS | VARIANTS)[system]
    python = sys.executable if runner == "run_polytask.py" else str(find_peer_python(environment))
    out.mkdir(parents=True, exist_ok=True)
    work = data.parent / f"work-{Path(runner).stem}"
    words = [data, out, "--work", work, "--seconds", seconds, "--seed", seed, "--mirrored", mirrored]
    command = [python, str(HERE / runner), *map(str, words), *options]
    with (out / "log.txt").open("w") as log:
        done = subprocess.run(command, stdout=log, stderr=log, env=os.environ | ONE_THREAD)
    if done.returncode:
        sys.exit(f"{out / 'log.txt'}: {system} failed; its last lines say why")


def score_predictions(
    data: Path, folder: Path, score: Callable[[np.ndarray, np.ndarray], float]
) -> list[float]:
    """Score the label map of each test case; the truth is read here and by no system.

    The list ends with the last case that was predicted.
    """
    names = [f"{find_case_name(image)}.nii.gz" for image in list_test_images(data)]
    return [
        score(read_labels(folder / name), read_labels(data / TRUTH_FOLDER / name))
        for name in names
        if (folder / name).exists()
    ]


def score_label_map(drawn: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean Dice over the structures of `LABELS`."""
    if drawn.shape != truth.shape:
        raise ValueError(f"prediction {drawn.shape} on another grid than the truth {truth.shape}")
    structures = [value for value in LABELS.values() if value]
    return float(np.mean([compute_dice_overlap(drawn == k, truth == k) for k in structures]))


def score_whole_body(drawn: np.ndarray, truth: np.ndarray) -> float:
    """Return the Dice of all structures as one."""
    return compute_dice_overlap(drawn > 0, truth > 0)


def read_labels(path: Path) -> np.ndarray:
    """Read a label map."""
    return np.asarray(nibabel.load(path).dataobj)


def summarize_trainings(trainings: Sequence[Training]) -> dict[str, object]:
    """Return the table as plain data: system → means over seeds, and the paired differences from ours."""
    systems = list(dict.fromkeys(t.system for t in trainings))
    rows = {
        system: {
            "network": own[0].report.network,
            "steps": [t.report.steps for t in own],
            "train_seconds": [round(t.report.train_seconds, 1) for t in own],
            "dice": [round(float(np.mean(t.dice["once"])), 4) for t in own],
            "dice_together": [round(float(np.mean(t.together)), 4) for t in own],
            "case_seconds": {
                way: round(float(np.median([s for t in own for s in t.report.case_seconds[way]])), 3)
                for way in WAYS
            },
            "dice_of_mirroring": round(float(np.mean([compute_mirroring_gain(t.dice) for t in own])), 4),
        }
        for system in systems
        if (own := [t for t in trainings if t.system == system])
    }
    scores = {"dice": lambda t: t.dice["once"], "dice_together": lambda t: t.together}
    differences = {
        f"{OURS} - {system}, {name}": compare_trainings(trainings, system, score)
        for system in systems
        for name, score in scores.items()
        if system != OURS and OURS in systems
    }
    return {"systems": rows, "dice_differences": differences}


def compare_trainings(
    trainings: Sequence[Training], system: str, score: Callable[[Training], Sequence[float]]
) -> dict[str, list[float]]:
    """Return the paired differences of ours from a system, over test cases and over the seeds that both have."""
    dice = {s: {t.seed: score(t) for t in trainings if t.system == s} for s in (OURS, system)}
    seeds = sorted(set(dice[OURS]) & set(dice[system]))
    if not seeds:
        return {}
    ours, theirs = (np.array([dice[s][seed] for seed in seeds]) for s in (OURS, system))
    pairs = {"cases": compute_paired_difference(ours.mean(0), theirs.mean(0))}
    if len(seeds) > 1:
        pairs["seeds"] = compute_paired_difference(ours.mean(1), theirs.mean(1))
    return pairs


def compute_mirroring_gain(dice: Mapping[str, Sequence[float]]) -> float:
    """Return the mean Dice of mirroring minus that without, over the cases that were predicted both ways."""
    mirrored = dice["mirrored"]
    return float(np.mean(mirrored) - np.mean(dice["once"][: len(mirrored)]))


def compute_paired_difference(ours: np.ndarray, theirs: np.ndarray) -> list[float]:
    """Return the mean difference of pairs and its 95 % interval (Student's)."""
    difference = np.asarray(ours) - np.asarray(theirs)
    mean, n = float(difference.mean()), len(difference)
    half = float(student.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n))
    return [round(v, 4) for v in (mean, mean - half, mean + half)]


def format_table(trainings: Sequence[Training]) -> list[str]:
    """Format a line for each system and the differences."""
    summary = summarize_trainings(trainings)
    rows, differences = summary["systems"], summary["dice_differences"]
    assert isinstance(rows, Mapping)
    assert isinstance(differences, Mapping)
    head = "steps | CPU s of training | Dice (seeds) | as one | CPU s a case | mirrored | Dice of mirroring"
    lines = [f"| system | network | {head} |", "|---" * 9 + "|"]
    for system, row in rows.items():
        cells = [
            system,
            row["network"],
            join_numbers(row["steps"], ""),
            join_numbers(row["train_seconds"], ".0f"),
        ]
        cells += [f"{np.mean(row['dice']):.3f} ({join_numbers(row['dice'], '.3f')})"]
        cells += [f"{np.mean(row['dice_together']):.3f}"]
        cells += [f"{row['case_seconds'][way]:.2f}" for way in WAYS]
        cells += [f"{row['dice_of_mirroring']:+.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    for name, pairs in differences.items():
        words = [f"over {what} 95 % {low:+.4f} to {high:+.4f}" for what, (_, low, high) in pairs.items()]
        mean = f"{pairs['cases'][0]:+.4f}" if pairs else "no common seed"
        lines.append(f"{name}: {'; '.join([mean, *words])}: {judge_difference(pairs)}")
    return lines


def judge_difference(pairs: Mapping[str, Sequence[float]]) -> str:
    """Say who is ahead; a single seed says nothing of the luck of a training and gives no claim."""
    if "seeds" not in pairs:
        return "one training each, no claim"
    if all(low > 0 for _, low, _ in pairs.values()):
        return "ahead"
    return "behind" if all(high < 0 for _, _, high in pairs.values()) else "not told apart"


def join_numbers(numbers: Sequence[float], form: str) -> str:
    """Join numbers of several seeds."""
    return " ".join(format(n, form) for n in numbers)


def measure_case_bytes(data: Path, folder: Path) -> dict[str, float]:
    """Return the mean bytes of a training case: as files, in our store, and in nnU-Net's preprocessed folder."""
    names = [find_case_name(image) for image in sorted((data / "imagesTr").glob("*_0000.nii.gz"))]
    store = folder / "work-run_polytask" / "work" / "store"
    theirs = folder / "work-run_nnunet" / "preprocessed" / data.name
    files = {
        "files": [list(data.glob(f"*Tr/{name}*")) for name in names],
        OURS: [[p for key in store.glob(f"{name}*") for p in key.iterdir()] for name in names],
        "nnunet": [list(theirs.glob(f"*_3d_fullres/{name}*")) for name in names],
    }
    return {
        place: float(np.mean([sum(p.stat().st_size for p in own) for own in by_case]))
        for place, by_case in files.items()
    }


def format_bytes(sizes: Mapping[str, float]) -> list[str]:
    """Format the bytes of a case and their ratio."""
    words = ", ".join(f"{place} {size / 1000:.1f} kB" for place, size in sizes.items())
    ratio = f"; ours ÷ nnU-Net's {sizes[OURS] / sizes['nnunet']:.2f}" if sizes.get("nnunet") else ""
    return [f"a case on disk: {words}{ratio}"]


if __name__ == "__main__":
    main()
