"""Tasks that apply only where another task has one of some classes, as a severity applies where there is a disease."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from polytask.errors import suggest_word
from polytask.kinds.class_words import list_answers
from polytask.kinds.header_words import is_same_word
from polytask.kinds.task_spec import PooledSpec, TaskSpec

NOT_APPLICABLE = "not applicable"
"""What a cell says in place of an answer where its task does not apply."""


def find_condition(task: TaskSpec) -> tuple[str, list[str]] | None:
    """Find the task that decides whether a task applies, and its classes with which it does; None = it always does."""
    return next(iter(task.applies_when.items()), None) if isinstance(task, PooledSpec) else None


def describe_condition(applies_when: Mapping[str, Sequence[str]]) -> str:
    """Describe when a task applies: `diagnosis is malignant`, `diagnosis is benign or malignant`; "" for always."""
    return " and ".join(f"{task} is {' or '.join(words)}" for task, words in applies_when.items())


def list_condition_breaches(name: str, tasks: Mapping[str, TaskSpec]) -> Iterator[str]:
    """Yield what is wrong with the `applies_when` of a task, and after the colon what to do."""
    task = tasks[name]
    if not isinstance(task, PooledSpec) or not task.applies_when:
        return
    if len(task.applies_when) > 1:
        yield f"{len(task.applies_when)} tasks are named: name one, and let that one follow the other"
        return
    other, words = next(iter(task.applies_when.items()))
    if other == name:
        yield f"{name!r} would follow its own answer: name another task"
    elif other not in tasks:
        yield f"{other!r} is not a task: {suggest_word(other, [n for n in tasks if n != name])}"
    elif not is_class_task(tasks[other]):
        yield (
            f"{other!r} is a {tasks[other].kind}, whose answer is no class: name a classification or an ordinal task"
        )
    else:
        yield from _list_word_breaches(other, list_answers(tasks[other]), words)
        if task.level == "subject" and tasks[other].level == "visit":
            yield f"{other!r} may differ between the visits of a subject: give both the same `level`"
        if name in (chain := _follow_conditions(name, tasks)):
            # Every task of a circle sees it; the first of the header reports it.
            circle = chain[: chain.index(name) + 1]
            if name == min(circle, key=list(tasks).index):
                yield f"{' → '.join([name, *circle])} is a circle: remove one of these `applies_when`"


def is_class_task(task: TaskSpec) -> bool:
    """Whether the answer of a task is one of several classes or grades."""
    return any(hasattr(task, field) for field in ("classes", "order"))


def _list_word_breaches(other: str, known: Sequence[str], words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if not any(is_same_word(word, own) for own in known):
            yield f"{word!r} is not a class of {other!r}: {suggest_word(word, list(known))}"
    if all(any(is_same_word(word, own) for word in words) for own in known):
        yield f"every class of {other!r} is named, so the task always applies: leave a class out, or remove the key"


def _follow_conditions(name: str, tasks: Mapping[str, TaskSpec]) -> list[str]:
    """List the tasks that a task follows, directly or through others, in order; a circle ends with its first repeat."""
    chain: list[str] = []
    condition = find_condition(tasks[name])
    while condition is not None and condition[0] in tasks:
        chain.append(condition[0])
        if condition[0] == name or condition[0] in chain[:-1]:
            break
        condition = find_condition(tasks[condition[0]])
    return chain
