"""Train and predict with MONAI 1.6.1, in a script as its tutorials have it: a UNet, DiceCE, cached data, dense crops.

Run in the environment of the peers. Residual UNet of 16 to 128 channels whose first convolution halves the resolution,
as MONAI's UNet does with strides of 2; two crops of 40×56×40 a step, in float32 unless `--precision bf16`; scaling and
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
from typing import TYPE_CHECKING

import numpy as np
from _peer_cases import (
    PeerReport,
    count_cpu_seconds,
    join_sizes,
    parse_runner_options,
    predict_test_cases,
    write_peer_report,
)

if TYPE_CHECKING:
    import torch

PATCH, CHANNELS, BATCH, RATE = (40, 56, 40), (16, 32, 64, 128), 2, 2e-3


def main() -> None:
    """Train once and predict without and with mirroring."""
    chosen = parse_runner_options(__doc__, precision="float32")
    import torch
    from monai.data import CacheDataset, DataLoader
    from monai.inferers import sliding_window_inference
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
    trainer = MonaiTrainer(chosen.precision == "bf16")
    steps = 0
    # Reading and caching the data belongs to the training here.
    for batch in itertools.chain.from_iterable(itertools.repeat(loader)):
        spent = (count_cpu_seconds() - started) / chosen.seconds
        if spent >= 1:
            break
        trainer.take_step(batch["image"], batch["label"], RATE * (1 + math.cos(math.pi * spent)) / 2)
        steps += 1
    train_seconds = count_cpu_seconds() - started
    network = trainer.network.eval()
    load = Compose(read)

    def predict(image: Path, mirror: bool) -> np.ndarray:
        with torch.inference_mode(), trainer.autocast():
            values = load({"image": str(image)})["image"][None].as_tensor()
            axes = [a for n in range(4 if mirror else 1) for a in itertools.combinations((2, 3, 4), n)]
            total = sum(
                sliding_window_inference(values.flip(a), PATCH, 4, network, overlap=0.5)
                .float()
                .softmax(1)
                .flip(a)
                for a in axes
            )
            return total.argmax(1)[0].numpy()

    case_seconds = {
        way: predict_test_cases(chosen.data, chosen.out, way, partial(predict, mirror=mirror), count)
        for way, mirror, count in (("once", False, None), ("mirrored", True, chosen.mirrored))
    }
    words = (
        f"patch {join_sizes(PATCH)}, widths {join_sizes(CHANNELS)} from half resolution on, batch {BATCH}, "
        f"{chosen.precision}"
    )
    write_peer_report(chosen.out, PeerReport(steps, train_seconds, 0.0, case_seconds, words))


class MonaiTrainer:
    """The network, the loss and the optimizer of the script."""

    def __init__(self, is_bf16: bool = False) -> None:
        import torch
        from monai.losses import DiceCELoss
        from monai.networks.nets import UNet

        self.network = UNet(3, 1, 3, CHANNELS, (2, 2, 2), num_res_units=2)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), RATE, weight_decay=1e-5)
        self.criterion = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False)
        self.autocast = partial(torch.autocast, "cpu", torch.bfloat16, enabled=is_bf16)

    def take_step(self, images: torch.Tensor, labels: torch.Tensor, rate: float) -> None:
        """Take one step with images and labels `[N, 1, *space]`."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        with self.autocast():
            output = self.network(images)
        self.criterion(output.float(), labels).backward()
        self.optimizer.step()


if __name__ == "__main__":
    main()
