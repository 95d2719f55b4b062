"""Train and predict with nnU-Net 2.8.1: its fingerprint, planner, preprocessing, trainer and sliding window.

Run in the environment of the peers. `--network planned` is what the planner chose for its default target of 8 GB;
`light` has 16 to 128 channels and batch 2 on the same patch, as somebody with a CPU would choose. Data are augmented in
the process itself (`nnUNet_n_proc_DA=0`), so that its CPU seconds count everything. The learning rate falls with the
share of the budget that is spent, in nnU-Net's own form. Its validation during training is left out: the last weights
are used, and all seconds go into steps.
"""

from __future__ import annotations

import json
import os
import random
from copy import deepcopy
from importlib import import_module
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

CONFIGURATION = "3d_fullres"
LIGHT_CHANNELS, LIGHT_BATCH = (16, 32, 64, 128), 2


def main() -> None:
    """Plan and preprocess where that was not done yet, train once, predict without and with mirroring."""
    chosen = parse_runner_options(__doc__, network="planned")
    name = chosen.data.name
    raw, preprocessed = chosen.work / "raw", chosen.work / "preprocessed"
    raw.mkdir(parents=True, exist_ok=True)
    if not (raw / name).exists():
        (raw / name).symlink_to(chosen.data.resolve())
    # nnU-Net reads these when it is imported.
    os.environ |= {
        "nnUNet_raw": str(raw),
        "nnUNet_preprocessed": str(preprocessed),
        "nnUNet_results": str(chosen.out / "results"),
        "nnUNet_def_n_proc": "1",
    }
    import torch

    os.environ |= {"nnUNet_n_proc_DA": "1"}
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(chosen.seed)
    prepare_seconds = prepare_data_set(preprocessed / name, name, chosen.data)
    plans = json.loads((preprocessed / name / "nnUNetPlans.json").read_text())
    if chosen.network == "light":
        plans = make_light_plans(plans)
    data_set = json.loads((chosen.data / "dataset.json").read_text())
    os.environ |= {"nnUNet_n_proc_DA": "0"}  # only now: its planner asks torch for that many threads
    torch.set_num_threads(1)
    import_module("nnunetv2.training.nnUNetTrainer.nnUNetTrainer")  # imports are no part of the training
    started = count_cpu_seconds()
    trainer, steps = train_on_budget(plans, data_set, chosen.seconds)
    train_seconds = count_cpu_seconds() - started
    case_seconds = {
        way: predict_test_cases(
            chosen.data, chosen.out, way, make_case_predictor(trainer, data_set, mirror), count
        )
        for way, mirror, count in (("once", False, None), ("mirrored", True, chosen.mirrored))
    }
    settings = plans["configurations"][CONFIGURATION]
    channels = settings["architecture"]["arch_kwargs"]["features_per_stage"]
    network = (
        f"patch {join_sizes(settings['patch_size'])}, widths {join_sizes(channels)}, "
        f"batch {settings['batch_size']}"
    )
    write_peer_report(chosen.out, PeerReport(steps, train_seconds, prepare_seconds, case_seconds, network))


def prepare_data_set(folder: Path, name: str, data: Path) -> float:
    """Fingerprint, plan and preprocess in one process unless it is done; return the CPU seconds."""
    if (folder / "prepared").exists():
        return 0.0
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api

    number = int(name[len("Dataset") :][:3])
    started = count_cpu_seconds()
    api.extract_fingerprint_dataset(number, num_processes=1, verbose=False, show_progress_bar=False)
    api.plan_experiment_dataset(number)
    api.preprocess_dataset(
        number, configurations=(CONFIGURATION,), num_processes=(1,), show_progress_bar=False
    )
    seconds = count_cpu_seconds() - started
    (folder / "splits_final.json").write_bytes((data / "splits_final.json").read_bytes())
    (folder / "prepared").touch()
    return seconds


def make_light_plans(plans: dict) -> dict:
    """Return plans with few channels and a small batch; patch, spacing and preprocessing stay."""
    light = deepcopy(plans)
    settings = light["configurations"][CONFIGURATION]
    network = settings["architecture"]["arch_kwargs"]
    stages = min(len(LIGHT_CHANNELS), network["n_stages"])
    network["n_stages"], network["features_per_stage"] = stages, list(LIGHT_CHANNELS[:stages])
    for key, value in network.items():
        if isinstance(value, list) and key != "features_per_stage":
            network[key] = value[: stages - 1 if "decoder" in key else stages]
    settings["batch_size"] = LIGHT_BATCH
    return light


def train_on_budget(plans: dict, data_set: dict, seconds: float) -> tuple[object, int]:
    """Train on fold 0 until the CPU seconds are spent; return the trainer and its number of steps."""
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    started = count_cpu_seconds()
    trainer = nnUNetTrainer(
        deepcopy(plans) | {"continue_training": False}, CONFIGURATION, 0, data_set, torch.device("cpu")
    )
    trainer.on_train_start()
    trainer.network.train()
    steps, longest = 0, 0.0
    while True:
        spent = count_cpu_seconds() - started
        if steps and spent + longest / 2 > seconds:
            return trainer, steps
        # Its scheduler counts epochs: here their share is the share of the budget.
        trainer.lr_scheduler.step(min(spent / seconds, 0.999) * trainer.num_epochs)
        trainer.train_step(next(trainer.dataloader_train))
        longest = max(longest, count_cpu_seconds() - started - spent)
        steps += 1


def make_case_predictor(trainer: object, data_set: dict, mirror: bool) -> object:
    """Return a function that reads an image, preprocesses, predicts and brings the labels back to its grid."""
    import torch
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    predictor = nnUNetPredictor(
        use_mirroring=mirror,
        perform_everything_on_device=False,
        device=torch.device("cpu"),
        allow_tqdm=False,
    )
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        data_set,
        type(trainer).__name__,
        trainer.inference_allowed_mirroring_axes,
    )

    def predict(image: Path) -> np.ndarray:
        array, properties = SimpleITKIO().read_images([str(image)])
        labels = predictor.predict_single_npy_array(array, properties)
        return np.asarray(labels).transpose(2, 1, 0)  # SimpleITK's axes run the other way

    return predict


if __name__ == "__main__":
    main()
