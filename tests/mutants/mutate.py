"""One-line changes of a source file that its tests should notice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
}
ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
NAME_PAIRS = (
    ("min", "max"),
    ("any", "all"),
    ("minimum", "maximum"),
    ("argmin", "argmax"),
    ("clamp_min", "clamp_max"),
    ("amin", "amax"),
    ("floor", "ceil"),
    ("zeros_like", "ones_like"),
)
SWAPPED_NAMES = {a: b for one, two in NAME_PAIRS for a, b in ((one, two), (two, one))}


@dataclass(frozen=True)
class Mutant:
    """A change of one line.

    Args:
        path: below the repository. line: counted from 1. before, after: the whole line. kind: of change.
    """

    path: str
    line: int
    before: str
    after: str
    kind: str

    @property
    def name(self) -> str:
        """The same however many lines stand above it."""
        return f"{self.path}\n- {self.before.strip()}\n+ {self.after.strip()}"


def find_mutants(root: Path, path: str) -> list[Mutant]:
    """All mutants of a file, in the order of the text."""
    text = (root / path).read_text(encoding="utf-8")
    lines, found = text.splitlines(keepends=True), {}
    for row, start, end, new, kind in _find_edits(ast.parse(text), [line.encode() for line in lines]):
        before = lines[row - 1]
        raw = before.encode()
        after = (raw[:start] + new.encode() + raw[end:]).decode()
        if after != before:
            found[row, after] = Mutant(path, row, before.rstrip("\n"), after.rstrip("\n"), kind)
    return sorted(found.values(), key=lambda m: (m.line, m.after))


def put_mutant(text: str, mutant: Mutant) -> str | None:
    """The text of the file with the change; None where it is no Python any more."""
    lines = text.splitlines(keepends=True)
    lines[mutant.line - 1] = lines[mutant.line - 1].replace(mutant.before, mutant.after)
    changed = "".join(lines)
    try:
        ast.parse(changed)
    except SyntaxError:
        return None
    return changed


LineEdit = tuple[int, int, int, str, str]
"""Line, first and last byte in it, new text, kind."""


def _find_edits(tree: ast.Module, lines: list[bytes]) -> Iterator[LineEdit]:
    for node in _walk_mutable_nodes(tree):
        if isinstance(node, ast.Compare):
            for left, right, op in zip(
                [node.left, *node.comparators], node.comparators, node.ops, strict=False
            ):
                yield from _find_text_between(left, right, *COMPARISONS[type(op)], lines, "comparison")
        elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
            yield from _find_text_between(
                node.left, node.right, *ARITHMETIC[type(node.op)], lines, "arithmetic"
            )
        elif isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
            old, new = ARITHMETIC[type(node.op)]
            yield from _find_text_between(node.target, node.value, f"{old}=", f"{new}=", lines, "arithmetic")
        elif isinstance(node, ast.BoolOp):
            words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield from _find_text_between(left, right, *words, lines, "and/or")
        elif isinstance(node, ast.UnaryOp) and node.lineno == node.operand.lineno:
            kind = "dropped not" if isinstance(node.op, ast.Not | ast.Invert) else "sign"
            yield node.lineno, node.col_offset, node.operand.col_offset, "", kind
        elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            for new in _other_constants(node.value):
                yield node.lineno, node.col_offset, node.end_col_offset or 0, new, "constant"
        elif isinstance(node, ast.Name) and node.id in SWAPPED_NAMES:
            yield node.lineno, node.col_offset, node.end_col_offset or 0, SWAPPED_NAMES[node.id], "name"
        elif isinstance(node, ast.Attribute) and node.attr in SWAPPED_NAMES and node.end_lineno is not None:
            end = node.end_col_offset or 0
            yield node.end_lineno, end - len(node.attr.encode()), end, SWAPPED_NAMES[node.attr], "name"
        elif isinstance(node, ast.If | ast.IfExp | ast.While) and node.test.lineno == node.test.end_lineno:
            test, row = node.test, lines[node.test.lineno - 1]
            old = row[test.col_offset : test.end_col_offset].decode()
            yield (
                test.lineno,
                test.col_offset,
                test.end_col_offset or 0,
                f"(not ({old}))",
                "negated condition",
            )
        elif isinstance(node, ast.Continue | ast.Break):
            new = "break" if isinstance(node, ast.Continue) else "continue"
            yield node.lineno, node.col_offset, node.end_col_offset or 0, new, "loop"


def _walk_mutable_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that do something: no annotations, decorators, f-strings and errors' texts, and nothing that only says
    what holds anyway (assertions, `zip(strict=True)`)."""
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return
    if isinstance(node, ast.JoinedStr | ast.Assert | ast.Raise | ast.Import | ast.ImportFrom):
        return
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "bases"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walk_mutable_nodes(child)


def _find_text_between(
    left: ast.expr, right: ast.expr, old: str, new: str, lines: list[bytes], kind: str
) -> Iterator[LineEdit]:
    """Replace the operator that stands between two expressions on one line."""
    if left.end_lineno == right.lineno and left.end_col_offset is not None:
        gap = lines[right.lineno - 1][left.end_col_offset : right.col_offset]
        if (at := gap.find(old.encode())) >= 0:
            start = left.end_col_offset + at
            yield right.lineno, start, start + len(old.encode()), new, kind


def _other_constants(value: bool | int | float) -> list[str]:
    if isinstance(value, bool):
        return [str(not value)]
    if isinstance(value, int):
        return [str(value + 1)] + ([str(value - 1)] if value > 0 else [])
    return [repr(value * 2) if value else "1.0"]
