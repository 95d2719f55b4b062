"""What the vectors of crops hold of a small finding before the encoder has learned of it.

    python benchmarks/crop_vectors.py [--seeds 3] [--subjects 200] [--steps 320] [--json]

Each seed draws volumes of the phantom of `small_findings.py` and an encoder that is never trained. The places of their
grids are encoded once. A crop reader and a layer behind it then learn the texture of the lesion by attention (6 of 8
places), with `stages: deepest` and with `stages: every`: the same places, rate, steps and random numbers. Reported: AUC
on a quarter of the volumes, and the gain of `every` with its 95 % interval over the seeds (Student's t). It measures
how soon attention can begin to learn, in seconds instead of minutes; it is no trained network.
"""

from __future__ import annotations

import argparse
import json
import math
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from polytask.model.building_blocks import Encoder, EncoderSpec, no_cut
from polytask.model.crop_reader import CropReader, CropSpec
from small_findings import SIZE, draw_volume, summarize_gain

WIDTHS, EMBEDDING, BATCH, RATE = (8, 16, 32), 32, 8, 0.003
READ, CROP_EDGE = 6, 16
FORMS = {"deepest": False, "every": True}


def encode_places(subjects: int, seed: int) -> tuple[list[Tensor], Tensor]:
    """Encode all places of the grids of new volumes; return the maps of each stage and the class of each volume.

    A map `[subjects, 8, channels, 2]` keeps two values whose mean and maximum are those of the whole map.
    """
    rng, starts = np.random.default_rng(seed), (0, SIZE - CROP_EDGE)
    torch.manual_seed(seed)
    strides = ((1, 1, 1), (2, 2, 2), (2, 2, 2))
    encoder, stages = Encoder(EncoderSpec(3, 1, WIDTHS, (1, 1, 1), strides)), []
    for number in range(subjects):
        image, _ = draw_volume(rng, bool(number % 2))
        scaled = torch.from_numpy((image - image.mean()) / image.std()).float()
        blocks = [scaled[tuple(slice(a, a + CROP_EDGE) for a in at)] for at in product(starts, repeat=3)]
        with torch.no_grad():
            maps = [level.flatten(2) for level in encoder(torch.stack(blocks)[:, None])]
        stages.append([torch.stack([m.amax(2), 2 * m.mean(2) - m.amax(2)], 2) for m in maps])
    classes = torch.arange(subjects) % 2
    return [torch.stack(level) for level in zip(*stages, strict=True)], classes


def learn_class(maps: list[Tensor], classes: Tensor, every_stage: bool, steps: int, seed: int) -> float:
    """Train a crop reader and a layer on three quarters of the volumes; return the AUC on the others."""
    from sklearn.metrics import roc_auc_score

    torch.manual_seed(seed)
    reader = CropReader(CropSpec(READ, every_stage=every_stage), WIDTHS, EMBEDDING, ["texture"])
    model = nn.ModuleList([reader, nn.Linear(EMBEDDING, 2)])
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    def answer(chosen: Tensor) -> Tensor:
        # A "crop" is the number of its place: the reader asks for the maps of the places that it reads.
        places = maps[0].shape[1]
        numbers = (chosen[:, None] * places + torch.arange(places))[..., None, None, None, None].float()

        def find_maps(crops: Tensor, count: int, cut: object) -> dict[str, list[Tensor | None]]:
            return {"texture": [level.flatten(0, 1)[crops.flatten().long()] for level in maps]}

        def find_no_answers(crops: Tensor, count: int) -> Tensor:
            raise AssertionError("attention chooses")

        known = torch.ones(numbers.shape[:2], dtype=torch.bool)
        vector = reader(find_maps, find_no_answers, numbers, known, no_cut)["texture"]
        output: Tensor = model[1](vector)
        return output

    order = torch.randperm(len(classes))
    train, held_out = order[: 3 * len(order) // 4], order[3 * len(order) // 4 :]
    for _ in range(steps):
        chosen = train[torch.randint(0, len(train), (BATCH,))]
        loss = nn.functional.cross_entropy(answer(chosen), classes[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        output = answer(held_out)
    return float(roc_auc_score(classes[held_out], output[:, 1] - output[:, 0]))


def main() -> None:
    """Measure all seeds and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--subjects", type=int, default=200)
    parser.add_argument("--steps", type=int, default=320)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, float]] = []
    for seed in range(chosen.seeds):
        maps, classes = encode_places(chosen.subjects, seed)
        rows.append({n: learn_class(maps, classes, form, chosen.steps, seed) for n, form in FORMS.items()})
        if not chosen.json:
            print(
                f"seed {seed}: " + "; ".join(f"{n} AUC {auc:.3f}" for n, auc in rows[-1].items()), flush=True
            )
    gain = summarize_gain([row["every"] - row["deepest"] for row in rows])
    if chosen.json:
        print(json.dumps({"seeds": rows, "gain": {n: None if math.isnan(v) else v for n, v in gain.items()}}))
        return
    print(f"every over deepest: {gain['mean']:+.3f} AUC (95 % {gain['low']:+.3f} to {gain['high']:+.3f})")


if __name__ == "__main__":
    main()
