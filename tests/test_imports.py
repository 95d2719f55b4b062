"""Layers as tests: which room may import which, no circles, and what stays unloaded until it is needed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "polytask"
MODULES = sorted(SRC.rglob("*.py"))

# A room → the rooms it may import; OPEN is known to all. `registries` names the rooms as text.
OPEN = {
    *("", "array_types", "atomic_files", "errors", "plain", "documents", "locks", "leftovers", "threads"),
    "task_chains",
}
ROOMS: dict[str, set[str]] = {
    "array_types": set(),
    "atomic_files": set(),
    "errors": set(),
    "plain": set(),
    "documents": set(),
    "locks": set(),
    "leftovers": set(),
    "task_chains": set(),
    "threads": set(),
    "images": set(),
    "kinds": set(),
    "cohort": {"images", "kinds"},
    "statistics": set(),
    "tasks": {"kinds", "statistics"},  # how many pairs of survival times are ordered right
    "plan": {"kinds", "cohort", "images", "tasks"},
    "prepare": {"kinds", "cohort", "images", "plan", "tasks"},
    "model": {"tasks"},
    "balance": {"model"},
    "inference": {"cohort", "images", "tasks", "plan", "prepare", "model"},
    "training": {
        *("kinds", "images", "cohort", "tasks", "plan", "prepare", "model"),
        *("balance", "inference", "registries"),
    },
    "predict": {"kinds", "cohort", "images", "plan", "prepare", "tasks", "model", "inference", "training"},
    "evaluation": {
        *(
            "kinds",
            "statistics",
            "balance",
            "inference",
            "predict",
            "training",
            "tasks",
            "cohort",
            "plan",
            "prepare",
            "images",
        ),
    },
    "trust": {"statistics", "kinds", "images", "tasks", "inference", "predict", "training", "evaluation"},
    "report": {
        "kinds",
        "statistics",
        "evaluation",
        "inference",
        "predict",
        "training",
        "tasks",
        "cohort",
        "plan",
        "prepare",
        "images",
        "trust",
    },
    "study": {
        *("kinds", "images", "cohort", "tasks", "plan", "prepare", "model", "inference", "training"),
        *("statistics", "predict", "evaluation", "report", "registries"),
    },
    "registries": set(),
    "cli": {
        *("kinds", "images", "cohort", "tasks", "plan", "prepare", "model"),
        *("statistics", "training", "predict", "evaluation", "trust", "report", "study", "registries"),
    },
    "__main__": {"cli"},
}
TORCH_FREE = {"cohort", "kinds", "documents", "images"}
# Import name → distribution, where they differ; pydantic_core is pinned by pydantic, whose errors come from it.
DISTRIBUTIONS = {
    **{"yaml": "pyyaml", "PIL": "pillow", "sklearn": "scikit-learn", "SimpleITK": "simpleitk"},
    **{"pydantic_core": "pydantic", "openslide": "openslide-python"},
}


@dataclass(frozen=True)
class Import:
    """Target of an import; `loaded` when importing the module runs it (not in a function, not for types), `for_types`
    when nothing ever does."""

    target: str
    loaded: bool
    line: int
    for_types: bool = False


def name_of(path: Path) -> str:
    """src/polytask/images/volume.py → polytask.images.volume."""
    parts = path.relative_to(SRC.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str, names: set[str]) -> list[Import]:
    """All imports; `from a import b` means module a.b when that is one of `names`."""
    found: list[Import] = []

    def visit(node: ast.AST, loaded: bool, types: bool = False) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, loaded, node.lineno, types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            targets = {f"{base}.{a.name}" if f"{base}.{a.name}" in names else base for a in node.names}
            found.extend(Import(target, loaded, node.lineno, types) for target in sorted(targets))
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for child in node.body:
                visit(child, False, True)
            for child in node.orelse:
                visit(child, loaded, types)
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                visit(child, loaded and not inside, types)

    visit(ast.parse(source), True)
    return found


@cache
def graph() -> dict[str, list[Import]]:
    """Module → its imports, for all of src."""
    names = {name_of(path) for path in MODULES}
    return {name_of(path): imports_of(path.read_text(encoding="utf-8"), names) for path in MODULES}


def room_of(module: str) -> str:
    """polytask.images.volume → images; polytask itself → ""."""
    return [*module.split("."), ""][1]


def upward(module: str, imports: list[Import]) -> list[str]:
    """Imports of rooms that this module's room may not know, and relative imports."""
    room, bad = room_of(module), []
    for item in imports:
        if item.target.startswith("."):
            bad.append(f"{module}:{item.line} imports {item.target}: write the full name")
        if item.target.split(".")[0] != "polytask" or not room:
            continue
        other = room_of(item.target)
        if other not in OPEN | {room} and other not in ROOMS.get(room, set()):
            bad.append(f"{module}:{item.line} ({room}) imports {item.target} ({other})")
    return bad


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other (Tarjan's strongly connected components of two or more)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def connect(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(edges.get(node, set())):
            if other not in index:
                connect(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1 or node in edges.get(node, set()):
                found.append(sorted(group))

    for node in sorted(edges):
        if node not in index:
            connect(node)
    return found


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, as a user would start it."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def test_every_room_is_on_the_map() -> None:
    assert {room_of(name) for name in graph()} - {""} <= set(ROOMS), (
        "add the room and what it may import to ROOMS"
    )
    assert circles(ROOMS) == []


def test_rooms_do_not_import_upward() -> None:
    assert [line for module, imports in graph().items() for line in upward(module, imports)] == []


def module_edges() -> dict[str, set[str]]:
    """Module → the modules of ours that it imports, also inside functions; those only for types are left out."""
    return {
        module: {i.target for i in imports if i.target in graph() and not i.for_types}
        for module, imports in graph().items()
    }


def test_no_circles_between_modules() -> None:
    """Also not through imports in functions."""
    assert circles(module_edges()) == []


def test_layer_rules_catch() -> None:
    names = {"polytask.model", "polytask.model.cut", "polytask.cohort"}
    source = "def f():\n    from polytask.model import cut\n"
    assert imports_of(source, names) == [Import("polytask.model.cut", False, 2)]
    assert upward("polytask.cohort.header", imports_of(source, names))
    assert upward("polytask.cohort.header", imports_of("from .header import Cohort", names))
    assert not upward("polytask.training.fit", imports_of(source, names))
    guarded = "import typing\nif typing.TYPE_CHECKING:\n    import polytask.cohort\nelse:\n    import json\n"
    assert [i.target for i in imports_of(guarded, names) if i.loaded] == ["typing", "json"]
    assert [i.target for i in imports_of(guarded, names) if i.for_types] == ["polytask.cohort"]
    assert not any(i.for_types for i in imports_of(source, names)), "an import in a function closes a circle"
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}}) == []


def test_rooms_without_torch_never_name_it() -> None:
    named = [
        f"{module}:{i.line} imports {i.target}"
        for module, imports in graph().items()
        for i in imports
        if room_of(module) in TORCH_FREE and i.target.split(".")[0] in {"torch", "monai"}
    ]
    assert named == []


def test_importing_the_data_rooms_loads_no_torch() -> None:
    modules = [m for m in graph() if room_of(m) in {"errors", "cohort", "images", "plan", "registries"}]
    code = f"import sys, importlib\nfor m in {modules!r}: importlib.import_module(m)\n"
    assert python("-c", code + "print('torch' in sys.modules)").stdout.strip() == "False"


def test_import_polytask_loads_nothing_heavy() -> None:
    code = "import sys, polytask; print(sorted({'torch', 'numpy', 'pydantic', 'typer'} & set(sys.modules)))"
    assert python("-c", code).stdout.strip() == "[]"


def test_help_loads_nothing_heavy() -> None:
    done = python("-X", "importtime", "-m", "polytask", "--help")
    loaded = {
        line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line
    }
    assert "typer" in loaded, "the import log was read"
    assert not loaded & {"torch", "matplotlib", "sklearn", "scipy", "monai", "pandas", "nibabel", "pydicom"}
    assert "train" in done.stdout


def dependencies() -> tuple[set[str], set[str]]:
    """Distributions the package requires, and those of the extras a user may choose (not dev)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [r for extra, rs in project["optional-dependencies"].items() if extra != "dev" for r in rs]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[\[<>=!~; ]", r, maxsplit=1)[0].lower() for r in requirements}

    return names(project["dependencies"]), names(extras)


def foreign() -> dict[str, set[str]]:
    """Distribution outside the standard library → modules of src that import it."""
    found: dict[str, set[str]] = {}
    for module, imports in graph().items():
        for item in imports:
            top = item.target.split(".")[0]
            if top not in {"polytask", "", *sys.stdlib_module_names}:
                found.setdefault(DISTRIBUTIONS.get(top, top).lower(), set()).add(module)
    return found


def test_src_imports_only_what_the_package_declares() -> None:
    core, extras = dependencies()
    assert {name: users for name, users in foreign().items() if name not in core | extras} == {}


def test_every_core_dependency_is_used() -> None:
    core, _ = dependencies()
    assert core - set(foreign()) == set()
