"""`polytask import`: describes data in another layout as a cohort; images stay where they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from polytask.cohort.importers.cohort_draft import ImportedCohort

import_ = typer.Typer(
    help="Write cohort.yaml and cases.csv for data in another layout. Images stay where they are.",
    no_args_is_help=True,
    suggest_commands=False,  # click does
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)

OutOption = Annotated[
    Path | None,
    typer.Option(
        "-o", "--out", "--output", help="Folder of the cohort; default: a folder next to the source."
    ),
]
TasksOption = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        help="NAME=KIND[:WORD,WORD][@COLUMN][/LEVEL], e.g. grade=ordinal:G1,G2,G3; os=survival:TIME,EVENT.",
    ),
]
InputsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        help="A column that the model reads, or a pattern: 'original_*'; '*' is every other column.",
    ),
]
SkipOption = Annotated[
    list[str] | None, typer.Option("--skip", help="A column to leave out, or a pattern: 'original_*'.")
]
UnitOption = Annotated[
    list[str] | None, typer.Option("--unit", help="TASK=UNIT of a survival or regression task: os=months.")
]
AcceptLossOption = Annotated[
    list[str] | None,
    typer.Option("--accept-loss", help="Accept that this task loses more than 5 % of its cells."),
]
KnownOption = Annotated[
    list[str] | None,
    typer.Option(
        "--known",
        help="Which structures were drawn in each case: TASK=COLUMN with their names, or "
        "TASK='has_*' for flags (1 = drawn).",
    ),
]
UnknownOption = Annotated[
    list[str] | None, typer.Option("--unknown", help="A word that means an empty cell.")
]
SubjectOption = Annotated[str | None, typer.Option(help="Column that names the subject.")]
VisitOption = Annotated[str | None, typer.Option(help="Column that names the visit.")]
DayOption = Annotated[str | None, typer.Option(help="Column with the day of the visit.")]
SiteOption = Annotated[str | None, typer.Option(help="Column that names the site.")]
SplitOption = Annotated[str | None, typer.Option(help="Column that says train or test.")]
SeparatorOption = Annotated[
    str,
    typer.Option(help="Separator of cells: comma, semicolon, tab or bar. Default: detected and printed."),
]
EncodingOption = Annotated[
    str, typer.Option(help="Encoding of the table: utf-8, latin-1, cp1250, … Default: detected and printed.")
]
DecimalOption = Annotated[
    str, typer.Option(help="Decimal sign: comma or point. Default: detected and printed.")
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace header and table of an earlier import.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@import_.command()
def nnunet(
    folder: Annotated[
        Path, typer.Argument(help="A raw data set: dataset.json, imagesTr, labelsTr, imagesTs.")
    ],
    out: OutOption = None,
    targets: Annotated[
        Path | None, typer.Option(help="Table of the other tasks; default: targets.tsv in that folder.")
    ] = None,
    task: TasksOption = None,
    input: InputsOption = None,
    skip: SkipOption = None,
    unknown: UnknownOption = None,
    unit: UnitOption = None,
    accept_loss: AcceptLossOption = None,
    known: KnownOption = None,
    subject: SubjectOption = None,
    visit: VisitOption = None,
    day: DayOption = None,
    site: SiteOption = None,
    split: SplitOption = None,
    separator: SeparatorOption = "",
    encoding: EncodingOption = "",
    decimal: DecimalOption = "",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import a raw data set of nnU-Net, with targets.tsv for the other tasks."""
    from polytask.cohort.importers.nnunet import import_nnunet
    from polytask.cohort.importers.text_form import TextForm

    done = import_nnunet(
        folder,
        out,
        targets=targets,
        tasks=task or (),
        inputs=input or (),
        skip=skip or (),
        unknown=unknown or (),
        units=unit or (),
        accept_loss=accept_loss or (),
        known=known or (),
        columns=_collect_named_columns(subject, visit, day, site, split),
        form=TextForm(separator, encoding, decimal),
        overwrite=overwrite,
    )
    _print_import_result(done, as_json)


@import_.command()
def decathlon(
    file: Annotated[Path, typer.Argument(help="dataset.json of the Decathlon, or a data list of MONAI.")],
    out: OutOption = None,
    task: TasksOption = None,
    input: InputsOption = None,
    skip: SkipOption = None,
    unknown: UnknownOption = None,
    unit: UnitOption = None,
    accept_loss: AcceptLossOption = None,
    known: KnownOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import a JSON list of cases: training, validation, test (Decathlon, MONAI)."""
    from polytask.cohort.importers.decathlon import import_decathlon

    done = import_decathlon(
        file,
        out,
        tasks=task or (),
        inputs=input or (),
        skip=skip or (),
        unknown=unknown or (),
        units=unit or (),
        accept_loss=accept_loss or (),
        known=known or (),
        overwrite=overwrite,
    )
    _print_import_result(done, as_json)


@import_.command()
def table(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="CSV or TSV files (.gz too), or Excel (FILE.xlsx#SHEET), joined by subject (and visit)."
        ),
    ],
    out: OutOption = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image", help="INPUT.CHANNEL[:MODALITY]=COLUMN, or a pattern: scan.ct=images/{subject}.nii.gz."
        ),
    ] = None,
    contours: Annotated[
        list[str] | None,
        typer.Option(
            "--contours", help="INPUT=COLUMN:NAME,NAME: the planes of a 4-D file as channels of an image."
        ),
    ] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option("--mask", help="Mask (or dose) files of a task: TASK=COLUMN or pattern."),
    ] = None,
    dose: Annotated[
        list[str] | None,
        typer.Option("--dose", help="Mask (or dose) files of a task: TASK=COLUMN or pattern."),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option("--region", help="Mask of the region in which a task counts: TASK=COLUMN or pattern."),
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--labels", help="Label values of a mask: TASK=NAME:VALUE,NAME:VALUE.")
    ] = None,
    structures: Annotated[
        list[str] | None,
        typer.Option("--structures", help="Structures of a 4-D mask in their order: TASK=NAME,NAME."),
    ] = None,
    known: KnownOption = None,
    unit: Annotated[
        list[str] | None, typer.Option("--unit", help="TASK=UNIT: dose=Gy, os=months, volume=ml.")
    ] = None,
    dvh: Annotated[
        list[str] | None,
        typer.Option(
            "--dvh",
            help="DOSE=MASK: dose-volume histograms are computed for the structures of this mask task.",
        ),
    ] = None,
    task: TasksOption = None,
    input: InputsOption = None,
    input_file: Annotated[
        list[Path] | None,
        typer.Option(
            "--input-file", help="A table all of whose columns are inputs, or a .txt with a column per line."
        ),
    ] = None,
    skip: SkipOption = None,
    unknown: UnknownOption = None,
    subject: SubjectOption = None,
    visit: VisitOption = None,
    day: DayOption = None,
    site: SiteOption = None,
    split: SplitOption = None,
    separator: SeparatorOption = "",
    encoding: EncodingOption = "",
    decimal: DecimalOption = "",
    accept_loss: AcceptLossOption = None,
    name: Annotated[str, typer.Option(help="Name of the cohort; default: the first file's.")] = "",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import one or several tables (CSV, TSV, Excel) as one cohort."""
    from polytask.cohort.importers.plain_table import import_table
    from polytask.cohort.importers.text_form import TextForm

    done = import_table(
        files,
        out,
        images=image or (),
        contours=contours or (),
        masks=mask or (),
        doses=dose or (),
        regions=region or (),
        known=known or (),
        labels=labels or (),
        structures=structures or (),
        units=unit or (),
        dvh=dvh or (),
        tasks=task or (),
        inputs=input or (),
        input_files=input_file or (),
        skip=skip or (),
        unknown=unknown or (),
        accept_loss=accept_loss or (),
        columns=_collect_named_columns(subject, visit, day, site, split),
        form=TextForm(separator, encoding, decimal),
        name=name,
        overwrite=overwrite,
    )
    _print_import_result(done, as_json)


def _collect_named_columns(*columns: str | None) -> dict[str, str]:
    names = ("subject", "visit", "day", "site", "split")
    return {name: column for name, column in zip(names, columns, strict=True) if column}


def _print_import_result(done: ImportedCohort, as_json: bool) -> None:
    from polytask.cli import print_json

    if as_json:
        print_json({"cohort": str(done.folder), "notes": done.notes})
        return
    for note in done.notes:
        print(note)
    print(f"written: {done.folder}/cohort.yaml, cases.csv")
    print(f"next: polytask check {done.folder}")
