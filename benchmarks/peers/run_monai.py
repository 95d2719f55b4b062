"""Train and predict with MONAI 1.6.1, in a script as its tutorials have it: a UNet, DiceCE, cached data, dense crops.

Run in the environment of the peers. Residual UNet of 16 to 128 channels, two crops of 40×56×40 a step, scaling and
shifting of the intensities, flips from left to right only (others would exchange the sides of head and tail), AdamW
with a cosine of the learning rate over the share of the budget that is spent. Sliding windows with half overlap, the
last weights. MONAI has no default here: these are choices of this script.
"""

from __future__ import annotations

import itertools
import json
import math
from functools import partial
from pathlib import Path

import numpy as np
from _peer_cases import (
    PeerReport,
    count_cpu_seconds,
    join_sizes,
    parse_runner_options,
    predict_test_cases,
    write_peer_report,
)

PATCH, CHANNELS, BATCH, RATE = (40, 56, 40), (16, 32, 64, 128), 2, 2e-3


def main() -> None:
    """Train once and predict without and with mirroring."""
    chosen = parse_runner_options(__doc__)
    import torch
    from monai.data import CacheDataset, DataLoader
    from monai.inferers import sliding_window_inference
    from monai.losses import DiceCELoss
    from monai.networks.nets import UNet
    from monai.transforms import (
        Compose,
        EnsureChannelFirstd,
        LoadImaged,
        NormalizeIntensityd,
        RandCropByPosNegLabeld,
        RandFlipd,
        RandScaleIntensityd,
        RandShiftIntensityd,
        SpatialPadd,
    )
    from monai.utils import set_determinism

    torch.set_num_threads(1)
    set_determinism(chosen.seed)
    started = count_cpu_seconds()
    both = ["image", "label"]
    read = [
        LoadImaged(both, allow_missing_keys=True),
        EnsureChannelFirstd(both, allow_missing_keys=True),
        NormalizeIntensityd("image"),
    ]
    augment = [
        SpatialPadd(both, PATCH),
        RandCropByPosNegLabeld(both, "label", PATCH, pos=1, neg=1, num_samples=1),
        RandFlipd(both, prob=0.5, spatial_axis=0),
        RandScaleIntensityd("image", 0.1, prob=0.5),
        RandShiftIntensityd("image", 0.1, prob=0.5),
    ]
    training = json.loads((chosen.data / "splits_final.json").read_text())[0]["train"]
    files = [
        {
            "image": str(chosen.data / "imagesTr" / f"{name}_0000.nii.gz"),
            "label": str(chosen.data / "labelsTr" / f"{name}.nii.gz"),
        }
        for name in training
    ]
    loader = DataLoader(
        CacheDataset(files, Compose([*read, *augment]), num_workers=1, progress=False),
        batch_size=BATCH,
        shuffle=True,
    )
    network = UNet(3, 1, 3, CHANNELS, (2, 2, 2), num_res_units=2)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-5)
    criterion = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False)
    steps = 0
    # Reading and caching the data belongs to the training here.
    for batch in itertools.chain.from_iterable(itertools.repeat(loader)):
        spent = (count_cpu_seconds() - started) / chosen.seconds
        if spent >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 + math.cos(math.pi * spent)) / 2
        optimizer.zero_grad()
        criterion(network(batch["image"]), batch["label"]).backward()
        optimizer.step()
        steps += 1
    train_seconds = count_cpu_seconds() - started
    network.eval()
    load = Compose(read)

    def predict(image: Path, mirror: bool) -> np.ndarray:
        with torch.inference_mode():
            values = load({"image": str(image)})["image"][None].as_tensor()
            axes = [a for n in range(4 if mirror else 1) for a in itertools.combinations((2, 3, 4), n)]
            total = sum(
                sliding_window_inference(values.flip(a), PATCH, 4, network, overlap=0.5).softmax(1).flip(a)
                for a in axes
            )
            return total.argmax(1)[0].numpy()

    case_seconds = {
        way: predict_test_cases(chosen.data, chosen.out, way, partial(predict, mirror=mirror), count)
        for way, mirror, count in (("once", False, None), ("mirrored", True, chosen.mirrored))
    }
    words = f"patch {join_sizes(PATCH)}, widths {join_sizes(CHANNELS)}, batch {BATCH}"
    write_peer_report(chosen.out, PeerReport(steps, train_seconds, 0.0, case_seconds, words))


if __name__ == "__main__":
    main()
