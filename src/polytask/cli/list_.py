"""`polytask list`: every registry and its members, one line each."""

from __future__ import annotations

from typing import Annotated

import typer


def list_(
    registry: Annotated[str | None, typer.Argument(help="Only this registry, e.g. sharing.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document: registry → member → line.")
    ] = False,
) -> None:
    """List what can be chosen: task kinds, file formats, importers, sharing blocks, fusions, …"""
    from polytask.cli import print_json
    from polytask.registries import OLD_NAMES, REGISTRIES, list_members

    if registry in OLD_NAMES:
        typer.echo(f"polytask list: {registry} is now called {OLD_NAMES[registry]}", err=True)
        registry = OLD_NAMES[registry]
    chosen = {name: list_members(name) for name in ([registry] if registry else REGISTRIES)}
    if as_json:
        print_json(chosen)
        return
    width = max(len(name) for lines in chosen.values() for name in lines)
    for number, (name, lines) in enumerate(chosen.items()):
        print(f"{chr(10) if number else ''}{name}: {REGISTRIES[name].line}")
        for member, line in lines.items():
            print(f"  {member:<{width}}  {line}")
