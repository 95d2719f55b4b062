"""What both sides run: cohorts, plans and trainings that reach every kind of task, preset and balancing rule."""

from __future__ import annotations

from dataclasses import dataclass

STEPS = "20"
SAME_MACHINE = (
    "--memory", "4", "--jobs", "1",
    *("--set", "training.batch=4"),
    *("--set", "training.threads=1"),
    *("--set", "training.workers=0"),
    *("--set", "training.precision=float32"),
)  # fmt: skip
"""Options of `plan` that leave nothing to what the machine is doing."""


@dataclass(frozen=True)
class Combination:
    """A phantom cohort and what is done with it.

    Args:
        phantom: options of `polytask phantom`.
        train: options of `polytask train`, as people spelled them before any redesign: old spellings stay valid.
        plan: further options of `polytask plan`.
        hidden: inputs that are taken out of the header before planning.
        study: options of `polytask study`; None = no study.
    """

    phantom: tuple[str, ...]
    train: tuple[str, ...] = ()
    plan: tuple[str, ...] = ("--folds", "3")
    hidden: tuple[str, ...] = ()
    study: tuple[str, ...] | None = None


def describe_phantom(dims: int, visits: int = 1, tasks: str = "", *more: str) -> tuple[str, ...]:
    """Options of a cohort of 14 subjects; all tasks that so many visits allow when none are named."""
    chosen = ("--tasks", tasks) if tasks else ()
    return (
        *("--subjects", "14", "--size", "24"),
        *("--dims", str(dims), "--visits", str(visits)),
        *chosen,
        *more,
    )


LIGHT = ("--set", "model.form=light", "--set", "model.decoder=private")
"""What `mtan` and `ctan` were before these names stood for the published forms."""
OLD_FORMS = {
    "ctan": LIGHT,
    "mtan": LIGHT,
    "mtmedformer": ("--sharing", "task_tokens", "--set", "model.encoder=null"),
}
"""Preset whose name stood for another form → the options that choose it again."""
KINDS_2D = describe_phantom(2)
THREE_TASKS = describe_phantom(2, 1, "lesion,pattern,diameter")

TEN_COMBINATIONS: dict[str, Combination] = {
    "kinds-3d": Combination(describe_phantom(3)),
    "kinds-2d": Combination(KINDS_2D, ("--sharing", "mtan", *LIGHT, "--balance", "pcgrad")),
    "visits": Combination(describe_phantom(2, 2), ("--preset", "rpnet", "--balance", "famo")),
    "slides": Combination(
        describe_phantom(2, 1, "grade,pattern,os", "--slides"), ("--preset", "mmdls", "--balance", "uncertainty")
    ),
    "tables": Combination(
        describe_phantom(2, 1, "grade,pattern,findings,diameter,os"),
        ("--balance", "dwa", "--after", "os=grade"),
        hidden=("scan",),
    ),
    "cascade": Combination(describe_phantom(3, 1, "lesion,organs,pattern,diameter"), ("--preset", "cascaded")),
    "hybrid": Combination(KINDS_2D, ("--preset", "hybrid", "--balance", "upgrad")),
    "stitched": Combination(
        describe_phantom(2, 3, "lesion,response,findings"),
        ("--sharing", "cross_stitch", "--time", "attention", "--balance", "gradnorm", "--cut", "parameters"),
    ),
    "sites": Combination(
        THREE_TASKS, ("--sharing", "hard", "--sources", "film", "--balance", "nash"), plan=("--split-by", "site")
    ),
    "study": Combination(
        THREE_TASKS,
        study=("--sharing", "hard,cross_stitch", "--folds", "2", "--seeds", "2", "--steps", "6", "--resamples", "50"),
    ),
}  # fmt: skip
"""Ten that every commit of a redesign runs."""

RULES = (
    "fixed",
    "rlw",
    "gls",
    "si",
    "imtl_l",
    "stch",
    "mgda",
    "cagrad",
    "graddrop",
    "imtl_g",
    "aligned",
    "fairgrad",
)
PRESETS = (
    *("cross_stitch", "ctan", "interacted", "mtan", "mtmedformer", "parallel", "single"),
    *("ctan_light", "mmoe", "mtan_light", "nddr", "padnet", "ple", "task_film", "task_tokens"),
)
"""Presets that no other combination has. A base without one cannot run its combination: `--only` leaves it out."""
FUSIONS = ("concat", "difference", "correlation")

RULE_SETTINGS = {"fixed": ("--set", "training.weights.lesion=0.5")}
"""What a rule does not start without."""

OTHER_COMBINATIONS: dict[str, Combination] = {
    **{
        f"rule-{rule}": Combination(THREE_TASKS, ("--balance", rule, *RULE_SETTINGS.get(rule, ())))
        for rule in RULES
    },
    **{
        f"preset-{name}": Combination(KINDS_2D, ("--preset", name, *OLD_FORMS.get(name, ())))
        for name in PRESETS
    },
    **{
        f"visits-{name}": Combination(describe_phantom(2, 2, "response,lesion,grade"), ("--time", name))
        for name in FUSIONS
    },
    "sources-attention": Combination(THREE_TASKS, ("--sources", "attention")),
    "visits-3d": Combination(describe_phantom(3, 2, "lesion,response,dose,os"), ("--time", "correlation")),
    "channel-3d": Combination(describe_phantom(3, 1, "lesion,organs,dose"), ("--after", "dose=lesion")),
}
"""The others, for the start and the end of a redesign."""
