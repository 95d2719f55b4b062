"""Names and texts of the sources as counts: what a name may be, how often one is defined, how much is explained.

The counts are functions over parsed source text, so that each is also shown to catch what it forbids.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

SRC = Path(__file__).parents[1] / "src" / "polytask"
TEXTS = {path: path.read_text(encoding="utf-8") for path in sorted(SRC.rglob("*.py"))}
TREES = {path: ast.parse(text) for path, text in TEXTS.items()}

MAX_ONE_WORD_SHARE = 0.25
MAX_REPEATED_SHARE = 0.04
MIN_COMMENTS_PER_1000 = 10.0
MIN_DOCSTRING_WORDS = 5

PREPOSITIONS = {
    "above", "after", "among", "around", "as", "at", "before", "behind", "below", "beside", "between", "by", "for",
    "from", "in", "into", "of", "on", "only", "over", "per", "since", "through", "to", "under", "until", "upon", "with",
    "within", "without",
}  # fmt: skip
VERBS_IN_ED = {"embed", "feed", "seed", "speed"}
IRREGULAR_PARTICIPLES = {
    "begun", "bound", "chosen", "done", "drawn", "found", "given", "gone", "heard", "held", "hidden", "kept", "known",
    "laid", "learned", "left", "lost", "made", "met", "paid", "said", "seen", "sent", "shown", "sold", "spent",
    "spoken", "sworn", "taken", "thought", "told", "unsaid", "written",
}  # fmt: skip
SHARED_NAMES = {"__all__", "__getattr__"}
"""Names that the language gives."""


def list_functions(tree: ast.Module) -> list[str]:
    """Names of the functions at the top level of a module."""
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def list_top_level_names(tree: ast.Module) -> set[str]:
    """Functions, classes, constants and aliases that a module defines; what it imports is not among them."""
    names = set[str]()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names - SHARED_NAMES


def is_one_word(name: str) -> bool:
    """Whether a name is a single word; a leading `_` does not count, and `TrainNeed` is two."""
    capitals = 0 if name.isupper() else len(re.findall("[A-Z]", name[1:]))
    return "_" not in name.strip("_") and not capitals


def is_participle_or_preposition(name: str) -> bool:
    """Whether a name of one word says what was done, or where, but neither what is done nor what it is."""
    word = name.strip("_").lower()
    if not is_one_word(name):
        return False
    participle = (word.endswith("ed") and word not in VERBS_IN_ED) or word in IRREGULAR_PARTICIPLES
    return participle or word in PREPOSITIONS


def count_comments(text: str) -> int:
    """Comments of a source text, without orders to tools."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    orders = ("# type", "# noqa", "# fmt")
    return sum(t.type == tokenize.COMMENT and not t.string.startswith(orders) for t in tokens)


def list_docstrings(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """(text, whether it stands below a constant or a field) of every docstring of a module."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            continue
        if text := ast.get_docstring(node):
            yield text, False
        for above, below in pairwise(node.body):
            value = below.value if isinstance(below, ast.Expr) else None
            text = value.value if isinstance(value, ast.Constant) else None
            if isinstance(above, ast.Assign | ast.AnnAssign) and isinstance(text, str):
                yield text, True


def find_thin_docstrings(tree: ast.Module) -> Iterator[str]:
    """Docstrings that begin with a preposition, or whose first line is too short to say anything; what a constant or
    a field is may be told in few words."""
    for text, of_constant in list_docstrings(tree):
        words = text.split("\n", maxsplit=1)[0].split()
        first = words[0].strip(".,:").lower()
        if first in PREPOSITIONS - {"as", "only"} or (len(words) < MIN_DOCSTRING_WORDS and not of_constant):
            yield text


def find_repeated_names(trees: Iterable[ast.Module]) -> list[str]:
    """Top-level names that more than one module defines."""
    counts = Counter(name for tree in trees for name in list_top_level_names(tree))
    return sorted(name for name, count in counts.items() if count > 1)


def test_functions_are_a_verb_and_its_object() -> None:
    functions = [name for tree in TREES.values() for name in list_functions(tree)]
    single = [name for name in functions if is_one_word(name)]
    assert len(single) <= MAX_ONE_WORD_SHARE * len(functions), Counter(single).most_common()


def test_no_function_or_class_is_called_by_a_participle_or_a_preposition() -> None:
    names = [
        (str(path.relative_to(SRC)), name)
        for path, tree in TREES.items()
        for name in list_top_level_names(tree)
    ]
    assert [found for found in names if is_participle_or_preposition(found[1])] == []


def test_a_name_is_defined_once_in_the_house() -> None:
    names = set.union(*(list_top_level_names(tree) for tree in TREES.values()))
    repeated = find_repeated_names(TREES.values())
    assert len(repeated) <= MAX_REPEATED_SHARE * len(names), repeated


def test_subtle_steps_are_explained() -> None:
    comments, lines = sum(map(count_comments, TEXTS.values())), sum(t.count("\n") for t in TEXTS.values())
    assert comments >= MIN_COMMENTS_PER_1000 * lines / 1000


def test_docstrings_say_something() -> None:
    thin = [
        (str(path.relative_to(SRC)), text)
        for path, tree in TREES.items()
        for text in find_thin_docstrings(tree)
    ]
    assert thin == []


def test_the_counts_catch_what_they_forbid() -> None:
    names = ("shown", "_kept", "Seen", "of", "checked", "beside")
    assert all(is_participle_or_preposition(name) for name in names)
    assert not any(
        is_participle_or_preposition(name) for name in ("embed", "train", "checked_cells", "softmax")
    )
    assert is_one_word("_parse")
    assert not any(map(is_one_word, ("parse_cell", "TrainNeed")))
    modules = [ast.parse("LIMIT = 1\ndef read() -> None: ..."), ast.parse("LIMIT: int = 2\n__all__ = []")]
    assert find_repeated_names([*modules, ast.parse("__all__ = []\nfrom x import read")]) == ["LIMIT"]
    thin = ast.parse('"""Of the arms that hold out, one."""\ndef f() -> None:\n    """Reads the file."""')
    assert len(list(find_thin_docstrings(thin))) == 2
    constants = ast.parse(
        'A = 1\n"""Its unit."""\nclass C:\n    b: int = 2\n    """With fewer, nothing is said."""'
    )
    assert list(find_thin_docstrings(constants)) == ["With fewer, nothing is said."]
    assert count_comments("x = 1  # noqa: F401\n# Why so.\ny = '# no'\n") == 1
