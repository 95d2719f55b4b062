"""Shows a plan on one page: what was decided, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from textwrap import wrap
from typing import Any

from polytask.cohort.splits import Splits
from polytask.kinds import KINDS
from polytask.kinds.applicability import describe_condition
from polytask.kinds.plan_reasons import format_sizes
from polytask.plan.plan_schema import ImagePlan, Plan, SlidePlan
from polytask.plan.roi_plan import compute_crop_size
from polytask.plan.validate import list_planned_tasks


@dataclass(frozen=True)
class SummaryRow:
    """One decision of the plan: what it is about, its value, and its reason."""

    what: str
    value: str
    why: str


def list_summary_rows(plan: Plan) -> list[SummaryRow]:
    """List the decisions that a reader looks for first."""
    rows = [SummaryRow("warning", "", text) for text in plan.shared.warnings]
    rows += [
        row
        for name, image in plan.shared.images.items()
        for row in _list_image_rows(name, image, plan.shared.why)
    ]
    for name, slide in plan.shared.slides.items():
        rows += _list_slide_rows(name, slide, plan.shared.why)
    rows += _list_table_rows(plan)
    training, why = plan.shared.training, plan.shared.why
    steps = training.epochs * training.steps_per_epoch
    rows += [
        SummaryRow("batch", f"{training.batch} samples", why["training.batch"]),
        SummaryRow(
            "steps",
            f"{training.epochs} epochs × {training.steps_per_epoch} = {steps}",
            why["training.epochs"],
        ),
        SummaryRow("precision", training.precision, why["training.precision"]),
        SummaryRow("threads, workers", f"{training.threads}, {training.workers}", why["training.workers"]),
        SummaryRow("decoder", plan.shared.model.decoder, why["model.decoder"]),
    ]
    model = plan.shared.model
    if plan.shared.max_visits > 1:
        rows.append(SummaryRow("visits joined by", model.visit_fusion, why["model.visit_fusion"]))
    if model.trunk is not None:
        rows.append(SummaryRow("image encoder", "one for all inputs", why["model.trunk"]))
    if len(plan.shared.images) + len(plan.shared.slides) + _count_tables(plan) > 1:
        rows.append(SummaryRow("inputs joined by", model.input_fusion, why["model.input_fusion"]))
    rare = ", ".join(f"{name} every {n} steps" for name, n in training.require_every.items())
    if rare:
        rows.append(
            SummaryRow(
                "rare tasks", rare, next(why[f"training.require_every.{n}"] for n in training.require_every)
            )
        )
    rows += _list_flip_rows(plan)
    # Many reasons begin with the value, which stands beside them here: "whole: the largest case ...".
    return [replace(row, why=row.why.removeprefix(f"{row.value}: ")) for row in rows]


def _count_tables(plan: Plan) -> int:
    return len(next(iter(plan.folds.values())).tables) if plan.folds else 0


def _list_image_rows(name: str, image: ImagePlan, why: dict[str, str]) -> Iterator[SummaryRow]:
    def reason(key: str) -> str:
        return why.get(f"images.{name}.{key}", "")

    yield SummaryRow(f"{name}: crop", image.crop.rule, reason("crop"))
    if image.resize is not None:
        yield SummaryRow(f"{name}: scaled to", format_sizes(image.resize, image.unit), reason("resize"))
    yield SummaryRow(
        f"{name}: spacing",
        format_sizes(image.spacing, image.unit),
        reason("spacing"),
    )
    yield SummaryRow(f"{name}: field", image.field, reason("field"))
    if image.view is not None and image.view_spacing is not None:
        yield SummaryRow(
            f"{name}: view",
            f"{format_sizes(image.view)} at {format_sizes(image.view_spacing)}",
            reason("view"),
        )
    if image.padding is not None:
        yield SummaryRow(f"{name}: padded to", image.padding, reason("padding"))
    if image.patch is not None:
        yield SummaryRow(
            f"{name}: patches", f"{image.patches} of {format_sizes(image.patch)}", reason("patch")
        )
    if image.roi is not None:
        crops = f"{image.roi.count} of {format_sizes(compute_crop_size(image))}"
        crops += " in folds with small findings" if image.roi.below else ""
        yield SummaryRow(f"{name}: crops", crops, reason("roi"))
    widths = f"{len(image.widths)} stages, {image.widths[0]}–{image.widths[-1]} channels"
    yield SummaryRow(f"{name}: network", widths, reason("strides"))
    if image.topology not in (None, "full"):
        yield SummaryRow(f"{name}: topology", str(image.topology), reason("topology"))
    if image.kernels is not None:
        kernels = ", ".join(format_sizes(kernel) for kernel in dict.fromkeys(image.kernels))
        yield SummaryRow(f"{name}: kernels", kernels, reason("kernels"))


def _list_slide_rows(name: str, slide: SlidePlan, why: dict[str, str]) -> Iterator[SummaryRow]:
    fine = f"{slide.mpp:g} µm" if slide.mpp else f"1:{slide.downsample or 1:g}"
    what = f"{slide.features} features" if slide.features else f"{slide.patch} pixels at {fine}"
    yield SummaryRow(
        f"{name}: patch", what, why.get(f"slides.{name}.{'features' if slide.features else 'mpp'}", "")
    )
    counts = f"{slide.patches} per step, {slide.most} stored at most"
    yield SummaryRow(f"{name}: patches", counts, why.get(f"slides.{name}.patches", ""))


def _list_table_rows(plan: Plan) -> Iterator[SummaryRow]:
    """List what each table gives: how many of its columns the folds use, and how many groups they form."""
    for name in next(iter(plan.folds.values())).tables if plan.folds else ():
        tables = [fold.tables[name] for fold in plan.folds.values()]
        columns = _format_range([len(table) for table in tables], "column")
        groups = _format_range([len({c.group for c in table.values()}) for table in tables], "group")
        yield SummaryRow(
            f"{name}: columns",
            f"{columns}, {groups}",
            plan.folds[min(plan.folds)].why.get(f"tables.{name}", ""),
        )


def _format_range(counts: list[int], what: str) -> str:
    """Format the counts of all folds: `12 columns`, or `12–14 columns` where folds differ."""
    least, most = min(counts), max(counts)
    plural = "" if most == 1 else "s"
    return f"{least} {what}{plural}" if least == most else f"{least}–{most} {what}{plural}"


def _list_flip_rows(plan: Plan) -> Iterator[SummaryRow]:
    """List the axes along which images are flipped: none for a cohort without images; 2D images may have their own."""
    augmentation, why = plan.shared.augmentation, plan.shared.why
    ways = {"flips": ("flip", augmentation.flip), "flips of 2D images": ("flip_2d", augmentation.flip_2d)}
    for what, (key, flips) in ways.items():
        if plan.shared.images and flips is not None:
            axes = [str(axis) for axis, on in enumerate(flips) if on]
            yield SummaryRow(
                what, f"axis {', '.join(axes)}" if axes else "none", why.get(f"augmentation.{key}", "")
            )


def list_task_rows(plan: Plan) -> list[tuple[str, str, str, str, str]]:
    """List (task, kind, level, primary metric, training statistic of the first fold) of each task."""
    if not plan.folds:
        return []
    rows = []
    # The first fold that trains a task speaks for it: a fold that holds out a site may train without a task.
    folds = [plan.folds[number] for number in sorted(plan.folds)]
    for name in list_planned_tasks(plan):
        fold = next(fold for fold in folds if name in fold.tasks)
        fields = fold.tasks[name]
        kind = KINDS[fields["kind"]]
        words = fold.why.get(f"tasks.{name}.{kind.summary_field}", "")
        words += (
            f"; applies where {condition}"
            if (condition := describe_condition(fields.get("applies_when", {})))
            else ""
        )
        rows.append((name, str(fields["kind"]), str(fields["level"]), kind.primary, words))
    return rows


def describe_folds(plan: Plan, splits: Splits | None = None) -> str:
    """Describe folds, their sizes and the seed in one line."""
    if splits is None or not splits.folds:
        return f"{len(plan.folds)} folds, seed {plan.seed}"
    parts = [(len(f.train), len(f.tune), len(f.held_out)) for f in splits.folds]
    sizes = ", ".join(
        f"{name} {min(n)}" if min(n) == max(n) else f"{name} {min(n)}–{max(n)}"
        for name, n in zip(("train", "tune", "held out"), zip(*parts, strict=True), strict=True)
    )
    return f"{len(splits.folds)} folds by {splits.scheme}: {sizes} subjects; seed {splits.seed}"


def render_summary(plan: Plan, splits: Splits | None = None, width: int = 110) -> str:
    """Render the whole page as plain text, wrapped at `width` characters."""
    lines = [describe_folds(plan, splits), ""]
    for row in list_summary_rows(plan):
        lines += _wrap_reason(f"{row.what:<20} {row.value:<26} ", row.why, width)
    lines.append("")
    for name, kind, level, primary, words in list_task_rows(plan):
        lines += _wrap_reason(f"{name:<20} {f'{kind}, {level}, {primary}':<32} ", words, width)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _wrap_reason(start: str, words: str, width: int) -> list[str]:
    lines = wrap(words, max(30, width - len(start))) or [""]
    return [start + lines[0], *(" " * len(start) + line for line in lines[1:])]


def dump_summary(plan: Plan, splits: Splits | None = None) -> dict[str, Any]:
    """Return the content of `--json`: the shared part without reasons, the sizes of the folds, and the tasks."""
    shared = plan.shared.model_dump(mode="json", exclude={"why"})
    folds = (
        [{p: len(f.part(p)) for p in ("train", "tune", "held_out")} for f in splits.folds] if splits else []
    )
    tasks = {
        name: {"kind": kind, "level": level, "primary": primary}
        for name, kind, level, primary, _ in list_task_rows(plan)
    }
    return {"seed": plan.seed, "shared": shared, "folds": folds, "tasks": tasks}
