"""Whether `polytask trust` tells strange images from ordinary ones, how often it errs on ordinary ones, and its cost.

    python benchmarks/strange_inputs.py [--dims 3] [--seeds 3] [--first-seed 0] [--steps 60] [--subjects 72] [--json]
    python benchmarks/strange_inputs.py --simulate [--draws 4000]

Each seed makes a phantom of one site (A), trains one run on it, and fits `fit_inputs` on a third of its subjects. Then
come new cohorts: ordinary subjects (site A, other seed), foreign sites (B, C, D of the same generator, unchanged), and
the ordinary images changed: noise of twice their deviation, inverted, a quarter of the slices empty, cut in half, and
a head (shell of bone, homogeneous inside) in the place of the trunk. Printed are for each kind the AUROC against the
new ordinary subjects and the share flagged at 5 %: of all trunk features together (input checks off), of each distance
alone, and with the input checks on; mean over the seeds and standard deviation. Below, how often new ordinary subjects
have p at most 0.05, 0.1, 0.2 and 0.5, and the cost (processor time) of fitting and of applying. `--simulate` draws
measures that hang together for many yardsticks: the false-alarm rate of one run, and of five folds together.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.metrics import roc_auc_score

from polytask.array_types import Floats
from polytask.trust.inputs.strangeness_ranks import compute_strangeness_p

TASKS = ("lesion", "grade", "diameter")
LEVELS = (0.05, 0.1, 0.2, 0.5)
NEW, SIZE = 24, 28
MEASURES = {
    "features": ("mahalanobis", "relative", "neighbors"),
    "mahalanobis": ("mahalanobis",),
    "relative": ("relative",),
    "neighbors": ("neighbors",),
    "with checks": None,
}
Volume = npt.NDArray[np.float64]


def add_noise(image: Volume, random: np.random.Generator, channel: int) -> Volume:
    """Add noise of twice the deviation of the image."""
    return np.asarray(image + 2 * image.std() * random.standard_normal(image.shape))


def invert(image: Volume, random: np.random.Generator, channel: int) -> Volume:
    """Exchange bright and dark."""
    return np.asarray(image.max() + image.min() - image)


def empty_band(image: Volume, random: np.random.Generator, channel: int) -> Volume:
    """Set a quarter of the slices to zero."""
    changed, n = image.copy(), image.shape[-1]
    changed[..., n // 3 : n // 3 + n // 4] = 0
    return changed


def cut_half(image: Volume, random: np.random.Generator, channel: int) -> Volume:
    """Keep half of the field of view."""
    return image[: image.shape[0] // 2]


def draw_head(image: Volume, random: np.random.Generator, channel: int) -> Volume:
    """Draw a head in the place of the trunk: air, a shell of bone, and one tissue inside, with the image's noise."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in image.shape], indexing="ij")
    radius = np.sqrt(sum((a / s) ** 2 for a, s in zip(axes, (0.6, 0.75, 0.7), strict=False)))
    air, bone, brain = np.quantile(image, (0.02, 0.995, 0.8))
    if channel:
        bone = air
    drawn = np.where(radius > 1, air, np.where(radius > 0.88, bone, brain))
    edge = image[tuple(slice(0, 4) for _ in image.shape)]
    return np.asarray(drawn + edge.std() * random.standard_normal(image.shape))


CHANGES: dict[str, Callable[[Volume, np.random.Generator, int], Volume]] = {
    "noise": add_noise,
    "inverted": invert,
    "empty band": empty_band,
    "cut in half": cut_half,
    "wrong anatomy": draw_head,
}


def change_file(source: Path, target: Path, change: Callable[[Volume], Volume]) -> None:
    """Write a changed copy of an image, on the same grid."""
    if source.suffix == ".png":
        with Image.open(source) as read:
            changed = np.clip(np.rint(change(np.asarray(read, np.float64))), 0, 255).astype(np.uint8)
            Image.fromarray(changed).save(target, dpi=read.info.get("dpi", (0, 0)))
        return
    read = nib.load(source)
    changed = np.clip(np.rint(change(np.asarray(read.dataobj, np.float64))), -32768, 32767)
    nib.save(nib.Nifti1Image(changed.astype(np.int16), read.affine, read.header), target)


def list_cohorts(folder: Path, dims: int, seed: int, header: Any) -> Iterator[tuple[str, Any]]:
    """Yield (kind, cohort): ordinary subjects, foreign sites, and each change of the ordinary ones."""
    from polytask.cohort.phantom import make_phantom
    from polytask.predict.prediction_inputs import read_inputs

    new = read_inputs(make_phantom(folder / "new", NEW, SIZE, seed + 1000, dims, 1, TASKS, 1), header)
    yield "ordinary", new
    foreign = read_inputs(
        make_phantom(folder / "foreign", 2 * NEW, SIZE, seed + 2000, dims, 1, TASKS, 4), header
    )
    for site in ("B", "C", "D"):
        yield f"site {site}", replace(foreign, cases=tuple(c for c in foreign.cases if c.site == site))
    yield "sites B, C, D", replace(foreign, cases=tuple(c for c in foreign.cases if c.site != "A"))
    for kind, change in CHANGES.items():
        place = folder / kind.replace(" ", "-")
        place.mkdir()
        cases = []
        for number, case in enumerate(new.cases):
            cells = dict(case.cells)
            for channel, column in enumerate(c for c in sorted(cells) if c.startswith("scan.") and cells[c]):
                source = new.root / cells[column]
                target = place / f"{number}-{channel}-{source.name}"
                random = np.random.default_rng([seed, number, channel])
                change_file(source, target, lambda image: change(image, random, channel))  # noqa: B023
                cells[column] = str(target)
            cases.append(replace(case, cells=cells))
        yield kind, replace(new, cases=tuple(cases))


def measure_seed(dims: int, seed: int, steps: int, subjects: int) -> dict[str, Any]:
    """Train on one phantom; return kind → measure → p-values of its subjects, and the costs."""
    from polytask.cohort.phantom import make_phantom
    from polytask.plan.work_folder import plan_into
    from polytask.predict.predictor import Predictor
    from polytask.prepare.store_builder import prepare
    from polytask.training import train
    from polytask.trust.inputs.fit_inputs import fit_inputs
    from polytask.trust.inputs.input_columns import InputColumns

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_phantom(folder / "cohort", subjects, SIZE, seed, dims, 1, TASKS, 1)  # type: ignore[arg-type]
        settings = (
            *("training.precision=float32", "training.threads=1", "training.workers=0", "training.epochs=6"),
            f"training.steps_per_epoch={steps // 6}",
        )
        plan_into(folder / "cohort", folder / "work", folds=3, settings=settings, jobs=1)
        prepare(folder / "work", jobs=1)
        run = train(folder / "work", name="a", fold=0, seed=seed, device="cpu").folder
        start = time.process_time()
        trust = fit_inputs([run], seed=seed, device="cpu")
        fitting = time.process_time() - start
        passes = len(trust.members[0].held_out) + trust.members[0].trained
        predictor = Predictor.load(run, device="cpu")
        compared = InputColumns(trust, predictor.members, str(run))
        p_values: dict[str, dict[str, list[float]]] = {}
        for kind, cohort in list_cohorts(folder, dims, seed, predictor.header):
            if kind == "ordinary":
                costs = measure_costs(predictor, cohort, compared, folder, fitting, passes)
            if kind == "sites B, C, D":
                sites = [p_values[f"site {site}"] for site in "BCD"]
                p_values[kind] = {name: [p for own in sites for p in own[name]] for name in MEASURES}
                continue
            predictor.watches_inputs = True
            p_values[kind] = {name: [] for name in MEASURES}
            for answer in predictor.answers(cohort):
                strangeness = compared.measure_case(answer.measures)
                for name, words in MEASURES.items():
                    # Without checks it is about the image alone.
                    columns = trust.find_columns(None if words is None else ["scan"], words)
                    p_values[kind][name].append(trust.compare(strangeness, columns, [""]))
        return {"seed": seed, "held_out": len(trust.members[0].held_out), "p": p_values, "costs": costs}


def measure_costs(
    predictor: Any, cohort: Any, compared: Any, folder: Path, fitting: float, passes: int
) -> dict[str, float]:
    """Measure the cost of applying, as a share of a case's time, and of fitting on 200 held-out and 200 training cases
    over predicting 200 cases."""
    from polytask.predict.prediction_pipeline import predict_cases

    shares, predicting = [], []
    for number in range(2):
        predictor.watches_inputs = False
        start = time.process_time()
        predict_cases(predictor, cohort.root, folder / f"out-{number}")
        without = time.process_time() - start
        predictor.watches_inputs = True
        start = time.process_time()
        predict_cases(
            predictor,
            cohort.root,
            folder / f"watched-{number}",
            make_cells=lambda answer: compared.make_cells(answer.measures),
        )
        shares.append((time.process_time() - start) / without - 1)
        predicting.append(without / len(cohort.cases))
    return {"applying": median(shares), "fitting": 400 * fitting / passes / (200 * median(predicting))}


def summarize(values: list[float]) -> str:
    """Format mean ± standard deviation over seeds."""
    return f"{mean(values):.3f} ± {stdev(values) if len(values) > 1 else 0.0:.3f}"


def show(rows: list[dict[str, Any]]) -> None:
    """Print the tables over all seeds."""
    kinds = [kind for kind in rows[0]["p"] if kind != "ordinary"]
    print(f"{len(rows)} seeds, {rows[0]['held_out']} held-out subjects, {NEW} new ordinary ones each")
    print(
        "| images | "
        + " | ".join(f"AUROC {name}" for name in MEASURES)
        + " | flagged, features | with checks |"
    )
    print("|---" * (len(MEASURES) + 3) + "|")
    for kind in kinds:
        cells = []
        for name in MEASURES:
            areas = []
            for row in rows:
                ordinary, strange = row["p"]["ordinary"][name], row["p"][kind][name]
                truth = [0] * len(ordinary) + [1] * len(strange)
                areas.append(float(roc_auc_score(truth, [-p for p in (*ordinary, *strange)])))
            cells.append(summarize(areas))
        for name in ("features", "with checks"):
            cells.append(summarize([float(np.mean(np.array(row["p"][kind][name]) <= 0.05)) for row in rows]))
        print(f"| {kind} | " + " | ".join(cells) + " |")
    for name in ("features", "with checks"):
        told = [
            f"{level:g}: {summarize([float(np.mean(np.array(r['p']['ordinary'][name]) <= level)) for r in rows])}"
            for level in LEVELS
        ]
        print(f"new ordinary subjects, {name}, share with p at most " + ", ".join(told))
    for name, what in (
        ("fitting", "over predicting 200 cases; at most 2"),
        ("applying", "of a case; at most 0.05"),
    ):
        print(f"{name}: {summarize([row['costs'][name] for row in rows])} {what}")


def simulate(draws: int) -> None:
    """Print the false-alarm rates of one run with 40 held-out subjects, and of five folds with 40 each."""
    random = np.random.default_rng(0)

    def draw(shared: Floats) -> Floats:
        measures = shared + random.normal(size=(*shared.shape[:-1], 6))
        measures[random.uniform(size=shared.shape[:-1]) < 0.2, 3:] = np.nan
        return np.asarray(measures)

    for members in (1, 5):
        p = []
        for _ in range(draws):
            own = random.standard_t(3, (1, 1))
            others = [draw(random.standard_t(3, (40, 1))) for _ in range(members)]
            p.append(compute_strangeness_p([draw(own)[0] for _ in range(members)], others))
        told = ", ".join(f"{level:g}: {np.mean(np.array(p) <= level + 1e-9):.4f}" for level in LEVELS)
        error = np.sqrt(0.05 * 0.95 / draws)
        folds = f"{members} fold{'s' * (members > 1)} of 40, {draws} draws"
        print(f"{folds}: p at most {told} (standard error at 0.05: {error:.4f})")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dims", type=int, default=3, choices=(2, 3))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--subjects", type=int, default=72)
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument(
        "--rows", type=Path, help="file to which each seed adds a line; seeds in it are not run again"
    )
    parser.add_argument("--simulate", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.simulate:
        simulate(asked.draws)
        return
    rows = []
    if asked.rows and asked.rows.exists():
        rows = [json.loads(line) for line in asked.rows.read_text().splitlines()]
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        if seed not in [row["seed"] for row in rows]:
            rows.append(measure_seed(asked.dims, seed, asked.steps, asked.subjects))
            if asked.rows:
                with asked.rows.open("a") as lines:
                    lines.write(json.dumps(rows[-1]) + "\n")
    if asked.json:
        print(json.dumps(rows))
        return
    show(rows)


if __name__ == "__main__":
    main()
