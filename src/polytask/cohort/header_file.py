"""Read and write `cohort.yaml`, list every problem in it at once, and make its JSON Schema for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from polytask.cohort import input_specs
from polytask.cohort.header import Header
from polytask.documents.document_errors import DocumentError
from polytask.documents.text_reader import read_text
from polytask.documents.yaml_reader import parse_yaml
from polytask.errors import PolytaskError, Problem, suggest_word
from polytask.kinds import KINDS
from polytask.kinds.header_words import StrictModel
from polytask.kinds.titles import TITLE_KEYS

HEADER_FILE = "cohort.yaml"
HEADER_SCHEMA_PATH = Path(__file__).with_name("header.schema.json")
MAX_HEADER_BYTES = 4 << 20
"""Largest size of a header file in bytes."""
_SPECS_BY_KIND: dict[str, type[StrictModel]] = {
    "image": input_specs.ImageInput,
    "table": input_specs.TableInput,
    "slide": input_specs.SlideInput,
    **{name: kind.spec for name, kind in KINDS.items()},
}


def read_header(path: Path) -> Header:
    """Read a header, or raise with its first problem and the number of further problems."""
    header, problems = load_header(path)
    if header is None:
        more = f" (and {len(problems) - 1} more: see `polytask check`)" if len(problems) > 1 else ""
        first = problems[0]
        raise PolytaskError(f"{first.file}: {first.message}; {first.remedy}{more}")
    return header


def parse_header(content: Any, place: str, remedy: str) -> Header:
    """Validate a header that is part of another document (e.g. a bundle), or raise with its first problem."""
    try:
        return Header.model_validate(content)
    except ValidationError as error:
        message, _ = explain_schema_error(error.errors()[0])[0]
        raise PolytaskError(f"{place}: {' '.join(message.split())}; {remedy}") from None


def load_header(path: Path) -> tuple[Header | None, list[Problem]]:
    """Read a header. Returns (header, []), or (None, every problem found in it)."""

    def fail(code: str, message: str, remedy: str) -> tuple[None, list[Problem]]:
        return None, [Problem("error", code, message, remedy, file=str(path))]

    try:
        text = read_text(
            path, "the header of a cohort", "correct its permissions, or save it as UTF-8", MAX_HEADER_BYTES
        )
        content = parse_yaml(text, str(path))
    except DocumentError as error:
        if error.missing:
            return fail("no-header", "no such file: a cohort is a folder with cohort.yaml and cases.csv",
                        "name that folder, or make one with `polytask import` or `polytask phantom`")  # fmt: skip
        line = error.place.removeprefix(str(path)).removeprefix(", ")
        return fail("header", f"{line}: {error.problem}" if line else error.problem, error.remedy)
    if not isinstance(content, dict):
        return fail(
            "header",
            "expected keys and values (polytask, name, inputs, tasks)",
            "see the guide docs/your-cohort.md",
        )
    try:
        return Header.model_validate(content), []
    except ValidationError as error:
        first: dict[str, list[tuple[str, str]]] = {}  # a value that fits no branch of a union is one problem
        for e in error.errors():
            first.setdefault(_format_key_path(e["loc"]), explain_schema_error(e))
        return None, [
            Problem("error", "header", m, r, file=str(path)) for lines in first.values() for m, r in lines
        ]


def write_header(header: Header, path: Path) -> None:
    """Write a header as YAML. Keys that have their default value are left out."""
    content = header.model_dump(mode="json", exclude_defaults=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110), encoding="utf-8")


def make_canonical_text(header: Header) -> str:
    """Return the text of a header that is hashed: headers of equal meaning give equal text.

    Titles and strata are left out: they only change what a page says and shows, so a new one needs no new plan.
    """
    content = header.model_dump(
        mode="json",
        exclude={
            "strata": True,
            "subgroups": True,
            "tasks": {"__all__": TITLE_KEYS},
            "inputs": {"__all__": {"columns": {"__all__": TITLE_KEYS}}},
        },
    )
    return json.dumps(_drop_unused_keys(content), ensure_ascii=False, separators=(",", ":"))


def _drop_unused_keys(content: dict[str, Any]) -> dict[str, Any]:
    """Drop unused keys that were added to the format later, in place, so that older headers keep their hash."""
    # Only keys at their default value go; a key in use changes what the header means and so its hash.
    columns = [c for part in content["inputs"].values() for c in part.get("columns", {}).values()]
    for part in content["inputs"].values():
        if not part.get("mirror", True):
            del part["mirror"]
    for part in (*columns, *content["tasks"].values()):
        for key in ("bounds", "merge", "unknown", "history", "landmarks", "applies_when"):
            if not part.get(key, True):
                del part[key]
    return content


def make_header_schema() -> dict[str, Any]:
    """Make the JSON Schema of `cohort.yaml`, which is shipped as `header.schema.json` for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Header.model_json_schema()}


def explain_schema_error(error: ErrorDetails) -> list[tuple[str, str]]:
    """Translate a pydantic error into (message, remedy) pairs in the words of Polytask."""
    context: dict[str, Any] = error.get("ctx", {})
    kind, where = error["type"], _format_key_path(error["loc"])
    word = str(error["loc"][-1]) if error["loc"] else ""
    # Our own validators put "message: remedy" into the error text; "rules" carries several of them at once.
    if kind == "rules":
        return [
            (f"{place}: {m}", r)
            for place, text in context["violations"]
            for m, _, r in [text.partition(": ")]
        ]
    if kind in ("rule", "quote"):
        message, _, remedy = error["msg"].partition(": ")
        return [(f"{where}: {message}", remedy)]
    if kind == "extra_forbidden":
        return [
            (
                f"{where}: unknown key {word!r}",
                suggest_word(word, list(_find_model_at(error["loc"]).model_fields)),
            )
        ]
    if kind == "missing":
        return [(f"{where}: the key {word!r} is missing", "add it")]
    if kind == "union_tag_not_found":
        return [
            (f"{where}: the key 'kind' is missing", f"add one of {', '.join(_list_kinds_at(error['loc']))}")
        ]
    if kind == "union_tag_invalid":
        return [
            (
                f"{where}: unknown kind {context['tag']!r}",
                suggest_word(context["tag"], _list_kinds_at(error["loc"])),
            )
        ]
    if kind == "literal_error":
        value = error["input"]
        return [(f"{where}: {value!r} is not {context['expected']}", f"write {context['expected']}")]
    if kind.startswith("int_"):
        return [(f"{where}: {error['input']!r} is not an integer", "write an integer, or a list of them")]
    if kind == "string_pattern_mismatch":
        return [
            (
                f"{where}: the name {error['input']!r} has characters other than letters, digits, - and _",
                "choose another name",
            )
        ]
    return [
        (
            f"{where}: {error['msg'][:1].lower()}{error['msg'][1:]}",
            f"correct the value {str(error['input'])[:60]!r}",
        )
    ]


def _format_key_path(loc: tuple[int | str, ...]) -> str:
    """Format a pydantic error path as `tasks.os.horizons`: kinds, union branches and key marks are left out."""
    parts = [
        str(p)
        for i, p in enumerate(loc)
        if not (i == 2 and p in _SPECS_BY_KIND) and p not in ("[key]", "list[int]", "int")
    ]
    return ".".join(parts) or "the header"


def _find_model_at(loc: tuple[int | str, ...]) -> type[StrictModel]:
    """Find the pydantic model to which the last key of an error path belongs."""
    if len(loc) < 4:
        return Header
    return input_specs.Column if len(loc) > 4 and loc[3] == "columns" else _SPECS_BY_KIND[str(loc[2])]


def _list_kinds_at(loc: tuple[int | str, ...]) -> list[str]:
    """List the kinds that are allowed at an error path: those of inputs, or those of tasks."""
    of_input = ("image", "table", "slide")
    return list(of_input) if loc and loc[0] == "inputs" else [k for k in _SPECS_BY_KIND if k not in of_input]
