"""The command line: verbs, each a few lines over the public API in a file of its own.

Only the verb that was asked for is imported, so that `polytask --help` answers at once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, NoReturn

import click
import typer
import typer.core
from typer.core import TyperGroup
from typer.main import get_command

from polytask.cli.terminal import silence_matplotlib, tolerate_missing_letters
from polytask.errors import PolytaskError, suggest_word
from polytask.plain import make_plain

typer.core.HAS_RICH = False  # plain help: quicker, and rich would escape the brackets of [required]

VERBS: dict[str, tuple[str, str]] = {
    "phantom": ("phantom", "make a synthetic cohort with known truth"),
    "check": ("check", "list every problem of a cohort at once"),
    "import": ("import_", "describe existing data (nnU-Net, Decathlon, tables) without copying images"),
    "plan": ("plan", "choose all settings from the data and this machine, each with its reason"),
    "prepare": ("prepare", "resample all images once into a store that trains fast"),
    "train": ("train", "train one model for all tasks, or one for each task"),
    "evaluate": ("evaluate", "compute metrics with confidence intervals on the held-out subjects"),
    "trust": ("trust", "fit and check calibration, and sets that hold the truth as often as promised"),
    "doctor": ("doctor", "find what is wrong with a training, and what helps"),
    "study": (
        "study",
        "compare several models on the same folds, seeds and budget with one network per task",
    ),
    "pick": ("pick", "export the model that a study recommends"),
    "predict": ("predict", "predict new cases; masks and doses have the geometry of the input files"),
    "export": ("export", "export trained runs as a self-contained model folder"),
    "report": ("report", "write one HTML page about a run"),
    "list": ("list_", "list all options to choose from: tasks, sharing blocks, balancing rules, …"),
    "bench": ("bench", "measure where the time of a training step goes, and what each sharing block costs"),
}
"""Verb → (module in this folder, one line for --help)."""


class LazyVerbGroup(TyperGroup):
    """The group of all verbs; the module of a verb is imported only when that verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List all verbs, in the order in which a user needs them."""
        return list(VERBS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs in --help without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; Ctrl-C ends it with one line.

        Files are written whole or not at all, so every verb can be run again.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("polytask: interrupted; run the same command again", file=sys.stderr)
            raise typer.Exit(128 + signal.SIGINT) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; where there is none of that name, suggest the nearest one."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            hint = suggest_word(args[0], VERBS, "choose from")
            raise click.UsageError(f"there is no verb {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of the verb that was asked for and return its command."""
        if cmd_name not in VERBS:
            return None
        module, line = VERBS[cmd_name]
        # The function of a verb has the name of its module (`import_`, `list_` where Python keeps the word).
        verb = getattr(import_module(f"polytask.cli.{module}"), module)
        command = get_command(verb if isinstance(verb, typer.Typer) else wrap_single_command(verb))
        command.name, command.short_help = cmd_name, line
        return command


app = typer.Typer(
    cls=LazyVerbGroup,
    name="polytask",
    help="Multi-task deep learning on medical images. Research use only, not a medical device.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def wrap_single_command(verb: Callable[..., None]) -> typer.Typer:
    """Wrap one function as an app with a single command: click needs an app to build the command from."""
    alone = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
    alone.command()(verb)
    return alone


def show_version(wanted: bool) -> None:
    """Print the version and exit, where `--version` is given."""
    if wanted:
        from polytask import __version__

        print(f"polytask {__version__}")
        raise typer.Exit


@app.callback()
def accept_global_options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=show_version),
    ] = False,
) -> None:
    """Multi-task deep learning on medical images. Research use only, not a medical device."""


def limit_thread_spinning() -> None:
    """Make OpenMP threads that wait for each other go to sleep early; results do not change.

    By default they spin for milliseconds. Where other programs use the same cores, a training step with as many threads
    as cores was seen to take 2 to 15 times as long; on quiet cores the short spin costs nothing that could be measured.
    """
    # OpenMP reads this once, when torch is loaded, so it must stand before any verb is imported. What a person has set
    # in the environment wins.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def main() -> None:
    """Run the command line. Bad input becomes one line on standard error and exit code 2, never a traceback."""
    limit_thread_spinning()
    tolerate_missing_letters()
    silence_matplotlib()
    try:
        app(prog_name="polytask")
    except PolytaskError as error:
        exit_with_error(str(error))
    # A BrokenPipeError is an OSError as well, so its clause comes first. The program that read our output (`head`,
    # `less`) has ended: closing standard error keeps Python from complaining when it flushes at exit.
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:  # a disk that fills up, a folder that goes away
        place = f"{error.filename}: " if error.filename else ""
        exit_with_error(
            f"{place}{error.strerror or error}; expected a readable and writable folder with free space; free "
            "some space, or choose another folder"
        )
    except UnicodeEncodeError as error:  # a file's name in a locale that does not have its letters
        exit_with_error(
            f"{error.object!a} cannot be written in this locale; set PYTHONUTF8=1, then run the same command again"
        )
    except MemoryError:
        exit_with_error("not enough memory; close other programs, or plan again with a smaller --memory")


def exit_with_error(line: str) -> NoReturn:
    """Print one line on standard error and exit with code 2."""
    print(f"polytask: error: {line}", file=sys.stderr)
    sys.exit(2)


def print_json(value: Any) -> None:
    """Print `value` as one JSON document on standard output."""
    print(json.dumps(make_plain(value), indent=1))
