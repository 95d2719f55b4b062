"""Tables in the guides against the code: options of the verbs, parameters of the functions, metrics of the kinds.

`<!-- options of: VERB -->` before a table says that it holds every option of that verb.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from polytask.cli import VERBS, LazyVerbGroup
from polytask.evaluation import evaluate
from polytask.evaluation.answer_collector import AnswerCollector
from polytask.evaluation.evaluate_run import evaluate_answers
from polytask.report import make_report
from polytask.training import RunRequest, train
from tests.evaluation.worlds import Someone, phantom

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MARK = re.compile(r"^<!-- options of: (?P<verb>\w+) -->$")
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def options_of(verb: str) -> list[set[str]]:
    """Every option of a verb (and of its subcommands), each with all its spellings."""
    command = LazyVerbGroup(name="polytask").get_command(click.Context(click.Command("polytask")), verb)
    assert command is not None
    commands = [command, *getattr(command, "commands", {}).values()]
    return [
        {*p.opts, *p.secondary_opts}
        for c in commands
        for p in c.params
        if isinstance(p, click.Option) and "--help" not in p.opts and not p.hidden
    ]


def rows_of(guide: Path) -> Iterator[tuple[str, str]]:
    """(verb of the mark before the table or "", row) of every row of every table."""
    verb = ""
    for line in guide.read_text(encoding="utf-8").splitlines():
        if found := MARK.match(line):
            verb = found["verb"]
        elif line.startswith("|"):
            yield verb, line
        else:
            verb = ""


def named_in(cell: str) -> list[str]:
    """The options in code marks of a cell."""
    return [o for code in re.findall(r"`([^`]*)`", cell) for o in OPTION.findall(code)]


MARKED = sorted({(g.stem, verb) for g in GUIDES for verb, _ in rows_of(g) if verb})


def test_the_verbs_that_people_use_most_have_a_table() -> None:
    assert {"train", "evaluate", "report", "predict", "study"} <= {verb for _, verb in MARKED}


@pytest.mark.parametrize(("guide", "verb"), MARKED)
def test_a_table_of_options_is_that_of_its_verb(guide: str, verb: str) -> None:
    """Every option that it names is there, and none is missing."""
    path = next(g for g in GUIDES if g.stem == guide)
    named = {o for v, row in rows_of(path) if v == verb for o in named_in(row.split("|")[1])}
    there = options_of(verb)
    assert sorted(o for o in named if not any(o in spellings for spellings in there)) == []
    assert sorted(max(s, key=len) for s in there if not s & named) == []


def test_options_in_any_table_exist() -> None:
    known = {o for verb in VERBS for spellings in options_of(verb) for o in spellings} | {
        "--help",
        "--version",
    }
    odd = [
        f"{guide.name}: {option}"
        for guide in GUIDES
        for _, row in rows_of(guide)
        for option in named_in(row)
        if option.startswith("--") and option not in known
    ]
    assert odd == []


def test_the_python_guide_names_the_parameters_there_are() -> None:
    text = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")
    told = text[text.index("`train` takes") : text.index("## evaluate")]
    names = set(re.findall(r"`(\w+)`", told)) - {"train"}
    own = set(inspect.signature(train).parameters) - {"work", "options"}
    assert names == {field.name for field in dataclasses.fields(RunRequest)} | own
    told = text[text.index("`evaluate` takes") : text.index("## Predictor")]
    names = set(re.findall(r"`(\w+)`", told)) - {"evaluate"}
    assert names == set(inspect.signature(evaluate).parameters) - {"run"}
    (written,) = re.findall(r"make_report\(([^)]*)\)", told)
    assert [p.strip() for p in written.split(",")] == list(inspect.signature(make_report).parameters)


def test_the_table_of_metrics_names_all_of_every_kind(tmp_path: Path) -> None:
    """No more and no fewer than an evaluation gives, the primary one first."""
    told: dict[str, list[str]] = {}
    for _, row in rows_of(ROOT / "docs" / "evaluation.md"):
        kind, metrics = (cell.strip() for cell in row.split("|")[1:3])
        told[kind] = [m.partition(".")[0] for m in re.findall(r"`([\w.]+)`", metrics)]
    cohort = phantom(tmp_path / "cohort", 2, 15)
    who = Someone(cohort, 0.6)
    # Thin structures have a metric more, and only where they are named.
    masks: dict[str, Any] = {n: t for n, t in who.tasks.items() if t.kind == "segmentation"}
    who.tasks |= {n: replace(t, thin=t.structures[:1]) for n, t in masks.items()}
    collector = AnswerCollector(cohort, who.tasks)
    for answer in who.answers(cohort):
        collector(answer)
    record = {"name": "x", "fold": 0, "seed": 0, "sharing": "hard"}
    found = evaluate_answers(who.tasks, collector.answers(cohort.samples()), record, "held_out", resamples=2)
    for name, task in found.tasks.items():
        there = list(dict.fromkeys(m.partition(".")[0] for m in found.metrics[name]))
        assert set(told[task["kind"]]) == set(there), name
        assert told[task["kind"]][0] == task["primary"]
