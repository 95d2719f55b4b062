"""Which tests concern a source file: its mirror, those that import it, those that import a module that imports it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

PACKAGE = "polytask"
TEST_FILES_PER_RUN = 4


def find_imports(path: Path, modules: Iterable[str]) -> set[str]:
    """The modules that a file imports, of those given; a package stands for its `__init__`."""
    known, found = set(modules), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {name for name in names if name in known}
    return found


def name_module(path: Path, root: Path) -> str:
    """`src/polytask/tasks/cox_criterion.py` → `polytask.tasks.cox_criterion`; `tests/tasks/worlds.py` → "
    "`tests.tasks.worlds`."""
    parts = list(path.relative_to(root).with_suffix("").parts)
    parts = parts[1:] if parts[0] == "src" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


class RelatedTests:
    """The import graph of the sources and the tests of a repository."""

    def __init__(self, root: Path):
        self.root = root
        files = sorted([*(root / "src").rglob("*.py"), *(root / "tests").rglob("*.py")])
        self.files = {name_module(p, root): p for p in files}
        self.importers: dict[str, set[str]] = {}
        for name, path in self.files.items():
            for imported in find_imports(path, self.files):
                self.importers.setdefault(imported, set()).add(name)

    def find_tests(self, path: str) -> list[list[str]]:
        """Test files below the repository, in groups from near to far: the mirror of a source file; what imports it in
        the tests of its room (also through a helper among the tests); there what imports a module of the room that
        imports it, and so on; what imports it in other rooms, where its own has none. Later groups are of at most
        `CHUNK` files."""
        name = name_module(self.root / path, self.root)
        package = ".".join(name.split(".")[:2])
        room = self.root / "tests" / name.split(".")[1]
        mirror = self.root / "tests" / Path(path).relative_to(f"src/{PACKAGE}")
        mirror = mirror.with_name(f"test_{mirror.name}")
        near = self._find_importers({name})
        groups: list[list[Path]] = [[mirror] if mirror in self.files.values() else []]
        users, met = {name}, {name}
        while users:
            found = sorted(p for p in self._find_importers(users) if room in p.parents)
            groups += [found[k : k + TEST_FILES_PER_RUN] for k in range(0, len(found), TEST_FILES_PER_RUN)]
            users = {m for u in users for m in self.importers.get(u, ()) if m.startswith(package)} - met
            met |= users
        groups += [] if any(groups) else [sorted(near)[:TEST_FILES_PER_RUN]]
        seen, chosen = set[Path](), []
        for group in groups:
            chosen.append([str(p.relative_to(self.root)) for p in group if p not in seen])
            seen.update(group)
        return [group for group in chosen if group]

    def _find_importers(self, names: set[str]) -> set[Path]:
        """Test files that import one of these modules, directly or through a module of the tests."""
        found, todo, met = set[Path](), list(names), set(names)
        while todo:
            for user in self.importers.get(todo.pop(), ()):
                if not user.startswith("tests.") or user in met:
                    continue
                met.add(user)
                if self.files[user].name.startswith("test_"):
                    found.add(self.files[user])
                else:
                    todo.append(user)
        return found
