"""Rooms ask the kind of a task and do not switch over kinds: a line that names one is counted here, with a reason."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from polytask.kinds import KINDS

SRC = Path(__file__).parents[1] / "src" / "polytask"
OWN_ROOMS = ("kinds", "tasks")
KIND_WORDS = frozenset(KINDS)
KIND_CLASSES = frozenset(
    {kind.spec.__name__ for kind in KINDS.values()}
    | {kind.task_class.partition(":")[2] for kind in KINDS.values()}
)
Allowances = dict[str, tuple[int, str]]

SWITCHES: Allowances = {
    "evaluation/primary_without_groups.py": (
        6,
        "a closed formula per class of task, which reads its own fields",
    ),
    "predict/prediction_notes.py": (2, "only survival says why a horizon has no answer"),
    "study/conclusions/fold_swaps.py": (1, "of survival only C is asked for, without its horizons"),
    "training/survival_learning.py": (1, "the module is about what survival tasks learn after training"),
}
"""File → (number of its lines that decide something by a kind, why that is not asked of the kind)."""
OTHER_MENTIONS: Allowances = {
    "balance/epoch_means.py": (5, "`count` is a number of steps in a rule's memory"),
    "cohort/checks/file_contents.py": (1, "`dose` is the role of a file"),
    "cohort/checks/image_facts.py": (1, "`dose` is the role of a file"),
    "cohort/importers/attach_files.py": (2, "makes the task; the word heads its note"),
    "cohort/importers/column_kinds.py": (4, "proposes a kind for a column from its cells"),
    "cohort/importers/file_options.py": (1, "`--dose` is an option"),
    "cohort/importers/infer_tasks.py": (1, "makes the task from a group of flags"),
    "cohort/importers/plain_table.py": (1, "`dose` is an option"),
    "cohort/importers/survival_names.py": (3, "`survival` is part of the name of a column"),
    "cohort/importers/survival_tasks.py": (1, "`survival` is the name of a column"),
    "cohort/phantom/phantom_header.py": (4, "`dose` is the name of a task of the phantom"),
    "cohort/phantom/subject_blocks.py": (1, "`dose` is the name of a task of the phantom"),
    "cohort/phantom/visit.py": (3, "`dose` is the name of a task of the phantom"),
    "cohort/problem_groups.py": (1, "`count` is a number of problems"),
    "documents/yaml_reader.py": (1, "`map` is a word of YAML"),
    "evaluation/risk_group_survival.py": (1, "`survival` is a column of a curve"),
    "model/order/chain.py": (1, "`map` is a value of `model.second_network`: one for each upstream map"),
    "plan/rules/view_readers.py": (2, "`map` is a value of `model.second_network`"),
}
"""File → (number of its lines that name a kind without deciding by it, what they do)."""
MAX_SWITCHES = 10


def list_kind_lines(source: str) -> list[int]:
    """List the lines that name a kind: its word as a text of its own, or its class as a value.

    Not counted: imports, `__all__`, annotations, documentation, and what makes a task of a kind, that is the word
    behind the key `kind` and a call of the class or of its methods.
    """
    tree = ast.parse(source)
    left_out: set[ast.AST] = set()
    for node in ast.walk(tree):
        for part in _list_uncounted_parts(node):
            left_out |= set(ast.walk(part))
    naming = (node for node in ast.walk(tree) if node not in left_out and _names_kind(node))
    return sorted({int(getattr(node, "lineno", 0)) for node in naming})


def _list_uncounted_parts(node: ast.AST) -> list[ast.AST]:
    """List the parts of a node in which a kind may be named freely."""
    parts: list[ast.AST | None] = []
    if isinstance(node, ast.AnnAssign | ast.arg):
        parts = [node.annotation]
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        parts = [node.returns]
    elif isinstance(node, ast.Assign):
        parts = [node.value] if ast.unparse(node.targets[0]) == "__all__" else []
    elif isinstance(node, ast.Expr):
        parts = [node.value] if isinstance(node.value, ast.Constant) else []
    elif isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        parts = [v for k, v in pairs if isinstance(k, ast.Constant) and k.value == "kind"]
    elif isinstance(node, ast.Call):
        parts = [keyword.value for keyword in node.keywords if keyword.arg == "kind"]
        called = node.func
        if isinstance(called, ast.Attribute) and called.attr == "model_validate":
            called = called.value
        parts += [called] if _names_kind(called) else []
        parts += node.args[:1] if ast.unparse(called) == "cast" else []
    return [part for part in parts if part is not None]


def _names_kind(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and node.value in KIND_WORDS
    if isinstance(node, ast.Attribute):
        return node.attr in KIND_CLASSES
    return isinstance(node, ast.Name) and node.id in KIND_CLASSES


def count_kind_lines() -> dict[str, int]:
    """Count the lines that name a kind in every module outside the two rooms of kinds."""
    found = {}
    for path in sorted(SRC.rglob("*.py")):
        place = path.relative_to(SRC)
        if place.parts[0] not in OWN_ROOMS and (lines := list_kind_lines(path.read_text(encoding="utf-8"))):
            found[place.as_posix()] = len(lines)
    return found


def list_allowance_problems(found: dict[str, int], *allowances: Allowances) -> list[str]:
    """List the files with more lines than allowed (a new switch) or fewer (an allowance that is no longer needed)."""
    allowed = {file: count for part in allowances for file, (count, _) in part.items()}
    return [
        f"{file}: {found.get(file, 0)} lines name a kind, {allowed.get(file, 0)} are allowed"
        for file in sorted({*found, *allowed})
        if found.get(file, 0) != allowed.get(file, 0)
    ]


def test_other_rooms_ask_the_kind() -> None:
    assert list_allowance_problems(count_kind_lines(), SWITCHES, OTHER_MENTIONS) == []


def test_allowances_are_few_and_have_reasons() -> None:
    assert sum(count for count, _ in SWITCHES.values()) <= MAX_SWITCHES
    assert not set(SWITCHES) & set(OTHER_MENTIONS)
    assert all(reason for _, reason in [*SWITCHES.values(), *OTHER_MENTIONS.values()])


def test_new_switches_and_spare_allowances_are_both_told() -> None:
    allowed = {"a.py": (1, "why"), "b.py": (2, "why")}
    assert list_allowance_problems({"a.py": 1, "b.py": 2}, allowed) == []
    assert list_allowance_problems({"a.py": 2, "b.py": 2}, allowed) == [
        "a.py: 2 lines name a kind, 1 are allowed"
    ]
    assert list_allowance_problems({"a.py": 1}, allowed) == ["b.py: 0 lines name a kind, 2 are allowed"]
    assert list_allowance_problems({"a.py": 1, "b.py": 2, "c.py": 1}, allowed) == [
        "c.py: 1 lines name a kind, 0 are allowed"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "x = isinstance(task, SegmentationSpec)",
        "x = isinstance(task, header.DoseSpec | header.VoxelSpec)",
        "x = isinstance(task, (PooledSpec, SurvivalSpec))",
        "x = isinstance(task, Survival)",
        "x = type(task) is Ordinal",
        "x = task.kind == 'survival'",
        "x = 'survival' != fields['kind']",
        "x = task.kind in ('classification', 'other')",
        "MEASURES = {'multilabel': measure}",
        "x = {'multilabel': 1}.get(task.kind)",
        "x = MEASURES['regression']",
        "x = find(tasks, SegmentationSpec)",
        "match task:\n    case CountSpec():\n        pass",
        "match task.kind:\n    case 'count':\n        pass",
    ],
)
def test_scan_finds_planted_switches(line: str) -> None:
    assert len(list_kind_lines(line)) == 1


@pytest.mark.parametrize(
    "line",
    [
        "from polytask.cohort.header import SegmentationSpec",
        "__all__ = ['SegmentationSpec']",
        "def f(task: SegmentationSpec) -> DoseSpec: ...",
        "x: Survival | None = None",
        "x = isinstance(task, VoxelSpec | PooledSpec | MaskSpec)",
        "x = KINDS[task.kind].skill_rule == 'rank'",
        "x = find_answer_form(task.kind) == 'masks'",
        "x = spec.kind != task['kind']",
        "x = array.dtype.kind == 'f'",
        "x = make_task('a', {'kind': 'segmentation'})",
        "x = DoseSpec(kind='dose')",
        "x = SurvivalSpec.model_validate(content)",
        "x = 'a dose of 2 Gy'",
        '"""survival"""',
    ],
)
def test_scan_leaves_other_lines_alone(line: str) -> None:
    assert list_kind_lines(line) == []
