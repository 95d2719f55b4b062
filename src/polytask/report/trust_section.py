"""The section "How sure": on which answers promises were fitted, whether they hold, and what is not promised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from polytask.report.drawing import Picture
from polytask.report.metric_tables import DASH, ReportTable, TableCell, format_number
from polytask.report.report_material import ReportMaterial
from polytask.report.trust_plots import make_trust_pictures
from polytask.report.voxel_promise_tables import build_voxel_tables
from polytask.trust.calibration_measures import ErrorInterval
from polytask.trust.fit_runs import RunsTrust
from polytask.trust.fit_task import CHECK_SPLITS, TaskCheck
from polytask.trust.measures.reliability import decompose_brier
from polytask.trust.measures.task_measures import Answering, Reliability
from polytask.trust.survival.survival_remarks import list_survival_rows
from polytask.trust.trust_remarks import describe_stratum, list_trust_remarks


class NotedTable(NamedTuple):
    """A table with a sentence on how to read it."""

    table: ReportTable
    note: str


class TrustSection(NamedTuple):
    """What one run, or several together, promise: title, which data, tables, pictures, and what is not promised."""

    title: str
    lead: str
    tables: list[NotedTable]
    pictures: list[Picture]
    remarks: list[str]


def build_trust_sections(material: ReportMaterial) -> list[TrustSection]:
    """Build a part for the run alone and for each set of runs that it was taken together with."""
    return [
        TrustSection(
            title_runs(fitted),
            describe_data(fitted),
            [t for t in _build_tables(material, fitted) if t.table.rows],
            make_trust_pictures(material, fitted),
            # The first remark explains a column of the command's table.
            list_trust_remarks(fitted)[1:],
        )
        for fitted in material.promises
    ]


def _build_tables(material: ReportMaterial, fitted: RunsTrust) -> Iterator[NotedTable]:
    yield _build_sets(material, fitted)
    yield _build_bounds(material, fitted)
    yield from _build_measures(material, fitted)
    for table, note in build_voxel_tables(material, fitted):
        yield NotedTable(table, note)


def explain_missing_trust(material: ReportMaterial) -> list[str]:
    """Say which command makes the section, where nothing was fitted, and what is out of date."""
    if material.promises or material.promise_notes:
        return list(material.promise_notes)
    return [
        "Nothing was fitted: probabilities are as the network gives them, and no answer comes with a promise. "
        f"`polytask trust {material.folder}` fits and checks both on the held-out answers."
    ]


def title_runs(fitted: RunsTrust) -> str:
    """Name the runs: the run alone, or folds together."""
    names = [name for m in fitted.members for name in m.runs]
    if len(names) == 1:
        return "This network"
    return f"{len(names)} networks together: {', '.join(names)}"


def describe_data(fitted: RunsTrust) -> str:
    """Describe which answers were used, what they chose before, and whom the figures describe."""
    folds = ", ".join(str(m.fold) for m in fitted.members)
    text = (
        f"Fitted on the known held-out answers of fold{'s' * (len(fitted.members) > 1)} {folds}. Epochs and thresholds "
        "were chosen on the tune part, so that these answers chose nothing. Checked on subjects that fitted nothing: "
        f"half of the subjects fits, the other half is looked at, {CHECK_SPLITS} times; the final fit uses all. It is "
        "for patients like these: at another hospital it has to be measured (evaluate --on)."
    )
    if len(fitted.members) > 1:
        text += (
            " All figures describe single networks on their own held-out subjects; how all do together can be seen on "
            "the test part or at another hospital only."
        )
    return text


def _build_sets(material: ReportMaterial, fitted: RunsTrust) -> NotedTable:
    rows = []
    for name, members in fitted.tasks.items():
        checks = [own.check for own in members if own.check is not None]
        held, n = fitted.average_coverage(name), sum(fitted.count_known(name))
        cells = [
            TableCell(f"{held.mean:.0%}", f"± {held.sd:.0%}", f"n {n}")
            if held
            else TableCell("not checked", "", f"n {n}"),
            _find_worst_stratum(fitted, name, checks),
            TableCell(" · ".join(format_number(c.size.mean) for c in checks) or DASH),
            TableCell(f"{fitted.find_worst_case(name):.0%}"),
            TableCell(str(sum(c.subjects for c in checks) or DASH)),
        ]
        rows.append((material.names.task(name), cells))
    columns = ["task", "sets with the truth", "least held", "size", "proved", "subjects"]
    return NotedTable(
        ReportTable(f"sets and intervals that shall hold the truth in {fitted.level:.0%}", columns, rows),
        "Sets with the truth: mean and standard deviation over the halves that did not fit; one fit may lie as far "
        "off. Least held: the class, grade or label that is missed most often. Size: how many answers a set keeps (of "
        "numbers its length), with half of the answers; the final sets are smaller. Proved: for new patients of the "
        "same population, whatever the network is worth.",
    )


def _build_bounds(material: ReportMaterial, fitted: RunsTrust) -> NotedTable:
    rows = [
        (first, [TableCell(text) for text in cells])
        for name, survival in fitted.survival.items()
        for first, *cells in list_survival_rows(material.names.task(name), survival)
    ]
    columns = ["task", "patients", "live beyond it", "mean bound", "calibration error"]
    return NotedTable(
        ReportTable(f"times that {fitted.level:.0%} of such patients shall live beyond", columns, rows),
        "Live beyond it: at least and at most so many of the patients who fitted nothing, because of those who were "
        "censored before their bound nothing is known. Calibration error: of the probabilities at the horizons, less "
        "what chance adds, before and after. One entry for each fold.",
    )


def _find_worst_stratum(fitted: RunsTrust, name: str, checks: Sequence[TaskCheck]) -> TableCell:
    seen = {s: own for check in checks for s, own in check.strata.items() if np.isfinite(own.mean)}
    if not seen:
        return TableCell(DASH)
    worst = min(seen, key=lambda s: seen[s].mean)
    words = describe_stratum(worst, fitted.words[name])
    return TableCell(
        f"{seen[worst].mean:.0%}", f"± {seen[worst].sd:.0%}" if np.isfinite(seen[worst].sd) else "", words
    )


def _build_measures(material: ReportMaterial, fitted: RunsTrust) -> Iterator[NotedTable]:
    calibration, parts, answering = [], [], []
    for name, measures in fitted.measures.items():
        title = material.names.task(name)
        if measures.calibration is not None:
            raw, after = measures.calibration
            used = all(own.calibrator is not None for own in fitted.tasks[name])
            calibration.append((title, _list_error_cells(raw, after, used)))
            parts.append((title, _list_brier_cells(after if used else raw)))
        for label, own in measures.answering.items():
            words = material.names.word(name, fitted.words[name][int(label)]) if label else ""
            answering.append((f"{title}: {words}" if words else title, _list_answering_cells(own)))
    yield NotedTable(
        ReportTable(
            "do probabilities come true?",
            [
                "task",
                "error as predicted",
                "error calibrated",
                "smooth error, as predicted",
                "calibrated",
                "given",
            ],
            calibration,
        ),
        "Error: mean distance between probability and observed share in 15 bins of equal size, as a root of squares, "
        "less what chance adds (Kumar, Liang, Ma 2019). Smooth: without bins (Błasiok, Nakkiran 2023); by chance: "
        "what a perfect model would show. 95 % intervals over subjects; n counts probabilities. Calibrated is by other "
        "subjects; given says what predictions hold.",
    )
    yield NotedTable(
        ReportTable(
            "what the Brier score of the given probabilities is made of",
            [
                "task",
                "Brier",
                "reliability",
                "− resolution",
                "+ uncertainty",
                "+ within-bin variance",
                "− covariance",
            ],
            parts,
        ),
        "Reliability: how far ten bins are from coming true (0 is best). Resolution: how much they differ in what "
        "happens (more is better). Uncertainty: of always giving the overall share. The sum is exact.",
    )
    yield NotedTable(
        ReportTable(
            "when not to answer",
            ["task", "error of all", "AURC", "AUGRC", "answered", "error among them"],
            answering,
        ),
        "Error: share of wrong answers, of numbers the mean absolute error. AURC: mean error of the surest answers, "
        "over how many are given. AUGRC: share of all cases that are answered wrongly, in the same mean; by chance it "
        "is half the error of all. Answered, and error among them: at the threshold asked for (trust --refer), "
        "on subjects that did not choose it.",
    )


def _list_error_cells(raw: Reliability, after: Reliability, used: bool) -> list[TableCell]:
    cells = [_make_error_cell(own.debiased, f"n {own.n}") for own in (raw, after)]
    cells += [_make_error_cell(o.smooth, f"by chance {o.smooth.chance:.3f}") for o in (raw, after)]
    return [*cells, TableCell("calibrated" if used else "as predicted")]


def _make_error_cell(error: ErrorInterval, n: str) -> TableCell:
    if not np.isfinite(error.estimate):
        return TableCell("not defined", why="too few answers")
    return TableCell(
        format_number(error.estimate), f"{format_number(error.low)} to {format_number(error.high)}", n
    )


def _list_brier_cells(own: Reliability) -> list[TableCell]:
    brier, *terms = vars(decompose_brier(own.bins)).values()
    return [TableCell(format_number(brier), "", f"n {own.n}"), *(TableCell(format_number(x)) for x in terms)]


def _list_answering_cells(own: Answering) -> list[TableCell]:
    cells = [
        TableCell(format_number(own.error), "", f"n {own.n}"),
        TableCell(format_number(own.aurc)),
        TableCell(format_number(own.augrc), "", f"by chance {format_number(own.error / 2)}"),
    ]
    rule = own.refer
    if rule is None:
        return [*cells, TableCell("not asked for"), TableCell(DASH)]
    if rule.refused:
        return [*cells, TableCell("none", why=rule.refused), TableCell(DASH, "", f"asked {rule.target:g}")]
    error = TableCell(
        format_number(rule.error[0]), f"± {format_number(rule.error[1])}", f"asked {rule.target:g}"
    )
    return [*cells, TableCell(f"{rule.answered[0]:.0%}", f"± {rule.answered[1]:.0%}"), error]
