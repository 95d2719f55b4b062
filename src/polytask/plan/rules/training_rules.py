"""Plans the training (batch, steps, optimizer, precision, threads) and the architecture to start from."""

from __future__ import annotations

from math import ceil
from typing import Literal

from polytask.cohort.header import Header
from polytask.kinds.plan_reasons import PlanReasons, format_share_percent, join_first_names
from polytask.plan.machine import GIB, LARGER_BATCH_SECONDS
from polytask.plan.model_plan import ModelPlan
from polytask.plan.plan_schema import ImagePlan, TrainingPlan
from polytask.plan.precision_probe import MIN_BF16_GAIN
from polytask.plan.rules.fusion_rules import plan_input_fusion, plan_visit_fusion
from polytask.plan.rules.network_scale import sees_everything
from polytask.plan.rules.shared_facts import SharedFacts
from polytask.plan.rules.step_cost import StepCost, find_largest_batch, find_smallest_batch

TRAINING_LENGTHS = {"cpu": (80, 600, 6_000), "gpu": (500, 5_000, 100_000)}
"""Device → (passes over the training samples, smallest and largest number of steps in all)."""
TUNE_EVALUATIONS = 20
"""Number of evaluations on tune during a training, about."""
EARLY_STOPPING_PATIENCE = 8
"""Early stopping: this many evaluations without a better skill end the training."""
PLANNED_OPTIMIZER: Literal["adamw", "sgd"] = "adamw"
OPTIMIZER_SETTINGS = {"adamw": (1e-3, 1e-2, "AdamW"), "sgd": (1e-2, 3e-5, "SGD with momentum")}
"""Optimizer → learning rate, weight decay (of SGD those of nnU-Net), and its name in words."""
RARE_TASK_LIMIT = 0.5
"""A task that is known in fewer cases per step than this, on average, is drawn on purpose."""
SOURCE_DROPOUT_RATE = 0.1
"""Share of the training samples from which one of several inputs is hidden."""


def plan_training(
    basis: SharedFacts, step: StepCost, images: dict[str, ImagePlan], why: PlanReasons
) -> TrainingPlan:
    """Plan how the network is trained; sizes come from the train part of the median fold.

    Args:
        step: what one sample costs in a step. images: the plans of the image inputs. why: takes the reasons.
    """
    why = why.at("training")
    machine = basis.machine
    batch = _plan_batch(basis, step, images, why)
    accumulation = why.choose_value("accumulation", 1)
    one_pass = ceil(basis.train / (batch * accumulation))
    per_epoch = why.choose_value("steps_per_epoch", one_pass)
    kind = "cpu" if machine.device == "cpu" else "gpu"
    passes, least, most = TRAINING_LENGTHS[kind]
    total = min(max(passes * one_pass, least), most)
    epochs = why.choose_value("epochs", ceil(total / per_epoch))
    if (epochs, per_epoch) != (ceil(total / one_pass), one_pass):
        total = epochs * per_epoch
    length = (
        f"{epochs * per_epoch} steps in all, about "
        f"{_format_duration(step.seconds(batch, machine) * accumulation * epochs * per_epoch)}"
    )
    why["steps_per_epoch"] = f"one pass over {basis.train} training samples, {batch * accumulation} at a time"
    why["epochs"] = (
        f"{length}: {passes} passes over the training samples, but at least {least} and at most {most} steps on a "
        f"{kind.upper()}"
    )
    why.add_fact("epochs", length)
    every = max(1, epochs // TUNE_EVALUATIONS)
    # At the smallest number of steps a training is too short to be stopped early.
    patience = EARLY_STOPPING_PATIENCE if total > least else 0
    why["weights"] = "every task has weight 1: each loss is scaled so that it is about 1 before training"
    why["balance.rule"] = (
        "equal: the losses are added with equal weights, the baseline for every other rule; compare rules with "
        "`polytask study`"
    )
    why["balance.cut"] = (
        "features: gradients are taken at the shared features, which needs one backward pass through the shared "
        "encoder whatever the number of tasks"
    )
    why["balance.options"] = "none: every rule uses its published settings"
    why["balance.every"] = "1: a rule that uses the gradients of the tasks reads them in every step"
    why["balance.log_every"] = (
        "50: the log records the gradients of the tasks every 50 steps, which costs about 1 % of the time"
    )
    why["balance.affinity"] = (
        "0: affinities between the tasks are not measured; a study measures them, for at most 5 % of the time"
    )
    why["tune_every"] = (
        f"epochs from one evaluation on the tune subjects to the next: about {TUNE_EVALUATIONS} in all"
    )
    why["patience"] = (
        f"training ends after {EARLY_STOPPING_PATIENCE} evaluations in a row (of about {TUNE_EVALUATIONS}) without a "
        "better mean skill"
        if patience
        else "no early stopping: the training is short, and the best checkpoint is kept in any case"
    )
    optimizer = why.choose_value("optimizer", PLANNED_OPTIMIZER)
    rate, decay, optimizer_name = OPTIMIZER_SETTINGS[optimizer]
    why["optimizer"] = "AdamW: needs the least tuning when losses of several kinds are added"
    why["rate"] = f"a usual learning rate for {optimizer_name} with small batches and group normalization"
    why["weight_decay"] = f"a usual value for {optimizer_name}"
    why["schedule"] = "cosine: the learning rate falls to almost 0 and needs no further settings"
    warmup = min(100, max(5, total // 20))
    why["warmup"] = (
        f"the learning rate rises during the first {warmup} steps (a twentieth of {total}, at most 100), until "
        f"{optimizer_name}'s averages of the gradients are reliable"
    )
    why["clip"] = (
        "gradients with a norm above 1 are scaled down, so that a single unusual batch cannot decide a step"
    )
    why["ema"] = "off: no averaged weights; the best checkpoint on the tune subjects is used"
    why["compile"] = (
        "off: compiling takes a minute or more before the first step, and again for each further form of a batch; "
        "for a long training on a GPU, --set training.compile=true"
    )
    why["accumulation"] = "1: " + (
        "the batch fits into memory at once"
        if step.fits(batch, machine)
        else "every batch is a step of its own"
    )
    if machine.gain:
        # The measured factor differs a little from run to run; written out, it would change the bytes of the plan.
        speedup = (
            f"{'at least' if machine.gain >= MIN_BF16_GAIN else 'less than'} {MIN_BF16_GAIN:g} times as fast"
        )
        why["precision"] = (
            f"{machine.precision}: in a test of about one second on this {machine.device}, a training step was "
            f"{speedup} in bf16 as in float32"
        )
    else:
        why["precision"] = f"{machine.precision}: the speed of bf16 was not measured on this {machine.device}"
    why["threads"] = (
        f"the machine has {machine}; fixed in the plan, because the rounding of sums depends on the number of threads"
    )
    workers = _plan_workers(machine.cores, kind)
    why["workers"] = (
        f"none: the network uses {'all' if machine.threads >= machine.cores else f'{machine.threads} of'} "
        f"{machine.cores} cores, and data are read between the steps"
        if workers == 0
        else f"{workers} processes read data on {machine.cores} cores while the network computes"
    )
    return TrainingPlan(
        batch=batch,
        accumulation=accumulation,
        optimizer=optimizer,
        rate=rate,
        weight_decay=decay,
        epochs=epochs,
        steps_per_epoch=per_epoch,
        warmup=warmup,
        patience=patience,
        tune_every=every,
        precision=machine.precision,
        threads=machine.threads,
        workers=workers,
        require_every=_plan_rare_tasks(basis, batch, why),
    )


def _plan_batch(basis: SharedFacts, step: StepCost, images: dict[str, ImagePlan], why: PlanReasons) -> int:
    """Plan the batch: the smallest one, enlarged while a step stays quick and fits into memory.

    On a GPU only where every image is seen whole: there the memory belongs to the size of the patch first.
    """
    # At most a quarter of the train part, so that an epoch has several steps.
    machine = basis.machine
    brisk = LARGER_BATCH_SECONDS[machine.device]
    least = batch = find_smallest_batch(basis)
    most = max(least, min(find_largest_batch(basis), basis.train // 4))
    limit = f"and up to {most} while a step takes at most {brisk:g} s and fits into memory"
    if most == least:
        limit = "and here no more, so that an epoch has several steps"
    if machine.device != "cpu" and not all(map(sees_everything, images.values())):
        most, limit = least, "and here no more: on a GPU a larger patch or view comes before a larger batch"
    while batch < most and step.fits(batch + 1, machine) and step.is_quick(batch + 1, machine):
        batch += 1
    batch = why.choose_value("batch", batch)
    need = (batch * step.activations + step.model) / GIB
    cost = f"a step of {batch} samples needs about {step.seconds(batch, machine):.2g} s and {need:.2g} GiB on {machine}"
    why["batch"] = f"{cost}; a batch has at least {least} samples, {limit}"
    why.add_fact("batch", cost)
    if not step.fits(batch, machine):
        why.warn_of_settings(
            f"{cost}, more than the budget of {machine.budget / GIB:.2g} GiB; lower training.batch"
        )
    return batch


def _plan_workers(cores: int, kind: str) -> int:
    if cores <= 2:
        return 0
    return min(8, max(1, cores // 4)) if kind == "cpu" else min(12, cores - 1)


def _plan_rare_tasks(basis: SharedFacts, batch: int, why: PlanReasons) -> dict[str, int]:
    """Plan the rare tasks: task that most steps would lack → number of steps within which it must come once."""
    # A share of 0 is left out: nothing can be drawn of a task that is never known.
    shares = {name: basis.measure_known_share(name) for name in basis.cohort.header.tasks}
    steps_by_task = {n: ceil(1 / (s * batch)) for n, s in shares.items() if 0 < s * batch < RARE_TASK_LIMIT}
    for name, steps in steps_by_task.items():
        why[f"require_every.{name}"] = (
            f"known in {format_share_percent(shares[name])} of the samples, so at random once in about {steps} steps "
            f"of {batch} samples; the sampler makes sure of it"
        )
    if not steps_by_task:
        rarest = min(shares, key=lambda n: shares[n], default=None)
        words = f"; {rarest} is known in the fewest, {format_share_percent(shares[rarest])}" if rarest else ""
        why["require_every"] = (
            f"no task is rare: each is known in enough samples for every second step or more{words}"
        )
    return steps_by_task


def plan_model(basis: SharedFacts, why: PlanReasons) -> ModelPlan:
    """Plan the architecture to start from: a shared encoder, and fusions that fit the visits and the inputs."""
    why = why.at("model")
    header = basis.cohort.header
    several = len(header.inputs) > 1
    why["preset"] = (
        "none: the values below are the defaults; `train --preset NAME` uses those of a published system"
    )
    why["trunk"] = _explain_trunk(header)
    why["sharing"] = (
        "hard: one encoder serves all tasks, so that they cost about as much as one task; compare it with other "
        "sharing blocks in a study"
    )
    why["encoder"] = (
        "null: residual stages; `swin`, a transformer with shifted windows, needs more memory and more cases"
    )
    why["form"] = (
        "light: the fast form of a sharing block; the published form (`paper`), where a block has both, takes 2 to 4 "
        "times as long"
    )
    visit_fusion = plan_visit_fusion(basis, why)
    input_fusion = plan_input_fusion(basis, why)
    why["source_dropout"] = (
        f"one of the {len(header.inputs)} inputs is hidden in {format_share_percent(SOURCE_DROPOUT_RATE)} of the "
        "training samples, so that the model learns to answer without it"
        if several
        else "off: there is only one input"
    )
    voxel = [n for names in basis.voxel_tasks_by_image.values() for n in names]
    why["decoder"] = (
        f"private: each voxel task ({join_first_names(voxel)}) has a decoder of its own; with `shared` the tasks of an "
        "image use one decoder, which saves time"
        if len(voxel) > 1
        else f"private: one decoder, for {voxel[0]}, the only voxel task; with nobody to exchange with, `padnet` "
        "computes the same"
        if voxel
        else "not used: there is no voxel task"
    )
    why["after"] = (
        "no chain: no task reads the answer of another; `--set model.after.TASK=[OTHER]` makes TASK read the answer of "
        "OTHER"
    )
    why["link"] = (
        "only for chains: of an answer in classes, the mean of one learned vector per class is read, weighted by the "
        "predicted probabilities; a mask is read by visit and subject tasks as a weight on the features (`gate`), by "
        "voxel tasks as an input channel of a second network (`channel`)"
    )
    why["groups"] = "null: all tasks in one network; a study finds groups and tries them (--arm groups)"
    why["visit_levels"] = "null: where visits are compared, on the three deepest levels of the encoder"
    why["second_level"] = "null: in a chain, an answer in classes is one more input of the task that reads it"
    why["uncertainty"] = "none: a chain passes on the answer without its uncertainty"
    why["passes"] = "null: a chain passes on one answer, in which every channel takes part"
    why["second_network"] = "null: each task that reads a map through a second network has one of its own"
    why["stop_gradient"] = "off: in a chain, the loss of the later task also trains the earlier one"
    why["dropout"] = (
        "10 % of the inputs of a visit or subject head are hidden in training, because cohorts are small"
    )
    why["embedding"] = "width of the hidden layer of a visit or subject head: enough for a few answers"
    why["deep_supervision"] = (
        "two coarser decoder levels get a loss too, so that the deepest layers learn from the first steps on"
    )
    return ModelPlan(
        visit_fusion=visit_fusion,
        input_fusion=input_fusion,
        source_dropout=SOURCE_DROPOUT_RATE if several else 0.0,
    )


def _explain_trunk(header: Header) -> str:
    dims = {spec.dims for spec in header.images.values()}
    if len(header.images) < 2:
        return f"null: there {'is one image input' if header.images else 'are no images'}"
    if len(dims) > 1:
        return "null: the image inputs have different dimensions, so that each has an encoder of its own"
    return (
        f"null: each of the {len(header.images)} image inputs has an encoder of its own; `shared`, set by hand, reads "
        "them with one that knows each by a learned code, so that they teach each other and need fewer parameters"
    )


def _format_duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{max(1, seconds / 60):.0f} min"
