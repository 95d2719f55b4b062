"""Plans the training (batch, steps, optimizer, precision, threads) and the architecture to start from."""

from __future__ import annotations

from math import ceil

from polytask.kinds.plan_reasons import PlanReasons, format_share_percent, join_first_names
from polytask.plan.machine import GIB, LARGER_BATCH_SECONDS
from polytask.plan.plan_schema import ImagePlan, ModelPlan, TrainingPlan
from polytask.plan.precision_probe import MIN_BF16_GAIN
from polytask.plan.rules.image_rules import StepCost, find_smallest_batch
from polytask.plan.rules.shared_facts import SharedFacts

MAX_BATCH_SAMPLES = {2: 32, 3: 8}
TRAINING_LENGTHS = {"cpu": (80, 600, 6_000), "gpu": (500, 5_000, 100_000)}
"""Device → (passes over the training samples, smallest and largest number of steps in all)."""
TUNE_EVALUATIONS = 20
"""Number of evaluations on tune during a training, about."""
EARLY_STOPPING_PATIENCE = 8
"""Early stopping: this many evaluations without a better skill end the training."""
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
    per_epoch = ceil(basis.train / batch)
    kind = "cpu" if machine.device == "cpu" else "gpu"
    passes, least, most = TRAINING_LENGTHS[kind]
    total = min(max(passes * per_epoch, least), most)
    epochs = ceil(total / per_epoch)
    why["steps_per_epoch"] = f"one pass over {basis.train} training samples, {batch} at a time"
    why["epochs"] = (
        f"{epochs * per_epoch} steps: {passes} passes, but at least {least} and at most {most} steps on a "
        f"{kind.upper()}; about {_format_duration(step.seconds(batch, machine) * epochs * per_epoch)}"
    )
    every = max(1, epochs // TUNE_EVALUATIONS)
    # At the smallest number of steps a training is too short to be stopped early.
    patience = EARLY_STOPPING_PATIENCE if total > least else 0
    why["weights"] = "every task counts 1: losses are about 1 when untrained"
    why["balance.rule"] = "equal: what every other rule has to beat; compare rules with `polytask study`"
    why["balance.cut"] = "features: one backward pass through the trunk whatever the number of tasks"
    why["balance.options"] = "none: each rule has its published settings"
    why["balance.every"] = "1: a rule that reads gradients reads them in every step"
    why["balance.log_every"] = (
        "50: what the log shows of the tasks' gradients costs about a hundredth of the time"
    )
    why["tune_every"] = f"about {TUNE_EVALUATIONS} evaluations on tune in all"
    why["patience"] = (
        f"{EARLY_STOPPING_PATIENCE} of about {TUNE_EVALUATIONS} evaluations without a better mean skill end the "
        "training"
        if patience
        else "never stops early: the training is short, and the best checkpoint is kept anyway"
    )
    why["optimizer"] = "AdamW: needs the least tuning when losses of several kinds are added"
    why["rate"] = "usual for AdamW with small batches and group norm"
    why["weight_decay"] = "usual for AdamW"
    why["schedule"] = "cosine: ends at a rate of almost 0 without further numbers to choose"
    warmup = min(100, max(5, total // 20))
    why["warmup"] = f"a twentieth of the steps, at most 100: AdamW's moments settle ({total} steps)"
    why["clip"] = "keeps one odd batch from deciding a step"
    why["ema"] = "off: the best checkpoint is chosen on tune"
    why["accumulation"] = "the batch fits in one go"
    if machine.gain:
        # The measured factor differs a little from run to run; written out, it would change the bytes of the plan.
        speedup = (
            f"{'at least' if machine.gain >= MIN_BF16_GAIN else 'less than'} {MIN_BF16_GAIN:g} times as quick in "
            "bf16"
        )
        why["precision"] = f"a probe's training step was {speedup} as in float32 on this {machine.device}"
    else:
        why["precision"] = f"{machine.precision}: no probe was run on this {machine.device}"
    why["threads"] = f"the machine has {machine}; part of the plan, because sums depend on it"
    workers = _plan_workers(machine.cores, kind)
    why["workers"] = f"{machine.cores} cores: " + (
        "the network uses them all, data are read between steps"
        if workers == 0
        else "some are left for reading"
    )
    return TrainingPlan(
        batch=batch,
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
    """Plan the batch: the smallest one, enlarged while a step stays quick and fits into memory."""
    # At most a quarter of the train part, so that an epoch has several steps.
    machine = basis.machine
    brisk = LARGER_BATCH_SECONDS[machine.device]
    limit = min((MAX_BATCH_SAMPLES[p.dims] for p in images.values()), default=64)
    least = batch = find_smallest_batch(basis)
    most = max(least, min(limit, basis.train // 4))
    while (
        batch < most
        and step.fits(batch + 1, machine)
        and (not step.flops or step.seconds(batch + 1, machine) <= brisk)
    ):
        batch += 1
    why["batch"] = (
        f"{batch} samples cost about {step.seconds(batch, machine):.2g} s and "
        f"{(batch * step.activations + step.model) / GIB:.2g} GiB a step on {machine}; at least {least}, more "
        f"while a step takes at most {brisk:g} s, at most {most}"
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
            f"known in {format_share_percent(shares[name])} of samples, so by chance once in {steps} steps of "
            f"{batch}; made certain"
        )
    if not steps_by_task:
        rarest = min(shares, key=lambda n: shares[n], default=None)
        words = f"; the rarest, {rarest}, in {format_share_percent(shares[rarest])}" if rarest else ""
        why["require_every"] = (
            f"no task is rare: each is known in enough samples for every second step{words}"
        )
    return steps_by_task


def plan_model(basis: SharedFacts, why: PlanReasons) -> ModelPlan:
    """Plan the architecture to start from: a shared encoder, and concatenation of visits and inputs."""
    why = why.at("model")
    header = basis.cohort.header
    several = len(header.inputs) > 1
    why["preset"] = "none: the values below are where to start; `train --preset` takes a published system's"
    why["sharing"] = "hard: one encoder for all tasks costs about one task; compare with others in a study"
    why["form"] = "light: where a sharing block has a form as published too, that is 2 to 4 times slower"
    why["visit_fusion"] = "visits are set side by side" + (" (there is one)" if basis.max_visits == 1 else "")
    why["input_fusion"] = "inputs are set side by side" + ("" if several else " (there is one)")
    why["source_dropout"] = (
        f"one of the {len(header.inputs)} inputs is hidden from a tenth of the samples, so that a case without it can "
        "be answered"
        if several
        else "there is one input"
    )
    voxel = [n for names in basis.voxel_tasks_by_image.values() for n in names]
    why["decoder"] = (
        f"one per voxel task ({join_first_names(voxel)}); `shared` has the tasks of an image share one and saves time"
        if len(voxel) > 1
        else f"one for {voxel[0]}"
        if voxel
        else "there is no voxel task"
    )
    why["after"] = (
        "no chain: all tasks are answered side by side; `after.TASK=[OTHER]` lets one read another's answer"
    )
    why["link"] = (
        "in a chain, classes are read as the mean of their vectors, weighted by their probabilities; a mask by pooled "
        "tasks as a gate on the features, by voxel tasks as a channel of a second network"
    )
    why["uncertainty"] = "none: a chain hands down the answer alone"
    why["stop_gradient"] = "off: a chain is trained end to end"
    why["dropout"] = "a tenth of a pooled head's inputs: cohorts are small"
    why["embedding"] = "wide enough for a handful of answers"
    why["deep_supervision"] = (
        "two coarser decoder levels get a loss too: gradients reach the bottleneck early"
    )
    return ModelPlan(source_dropout=SOURCE_DROPOUT_RATE if several else 0.0)


def _format_duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{max(1, seconds / 60):.0f} min"
