"""Which prevalence a person asks for: `TASK=0.08`, `TASK=estimate`, `TASK=G1:0.6,G2:0.3,G3:0.1`, `TASK.LABEL=0.1`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from polytask.errors import PolytaskError, suggest_word
from polytask.evaluation.metric_estimates import list_class_names
from polytask.kinds import find_answer_form
from polytask.predict.seal import SEAL_KEY, compute_seal
from polytask.tasks.task import Task

ESTIMATE = "estimate"
SUM_ERROR = 1e-6
PREVALENCE_KEY = "prevalence"
"""Key of what an exported model promises: the prevalence that it was exported for."""


@dataclass(frozen=True)
class PrevalenceRequest:
    """The prevalence that is wanted for one question.

    Args:
        label: of a multilabel task, else "".
        shares: of the classes, of a label those of no and yes; None: estimate them.
    """

    task: str
    label: str
    shares: tuple[float, ...] | None

    @property
    def question(self) -> str:
        """The task, with the label after a dot."""
        return f"{self.task}.{self.label}" if self.label else self.task


def parse_prevalences(texts: Sequence[str], tasks: Mapping[str, Task]) -> list[PrevalenceRequest]:
    """Parse what was written behind `--prevalence`, or raise in one line what is wrong."""
    requests: dict[str, PrevalenceRequest] = {}
    for text in texts:
        for request in _parse_prevalence(text, tasks):
            if request.question in requests:
                raise PolytaskError(f"--prevalence {text}: {request.question} is named twice; name it once")
            requests[request.question] = request
    return list(requests.values())


def _parse_prevalence(text: str, tasks: Mapping[str, Task]) -> Iterator[PrevalenceRequest]:
    what = f"--prevalence {text}"
    questions = _list_questions(tasks)
    # Names of labels may hold an equals sign: the longest question that fits is meant.
    asked = max((q for q in questions if text.startswith(f"{q}=")), key=len, default=None)
    if asked is None:
        name, equals, _ = text.partition("=")
        if not equals:
            raise PolytaskError(f"{what}: expected TASK=SHARE, e.g. {next(iter(questions), 'TASK')}=0.08")
        if name in tasks:
            raise PolytaskError(
                f"{what}: {name} is a {tasks[name].kind}; only frequencies of classes, grades and labels can shift"
            )
        raise PolytaskError(f"{what}: no task {name!r}; {suggest_word(name, list(questions), 'use')}")
    task, label = questions[asked]
    words, value = list(list_class_names(tasks[task])), text[len(asked) + 1 :]
    is_labels = find_answer_form(tasks[task].kind) == "labels"
    if value == ESTIMATE:
        for own in words if is_labels and not label else [label]:
            yield PrevalenceRequest(task, own, None)
    elif is_labels and not label:
        raise PolytaskError(f"{what}: {task} has labels; name one, e.g. {task}.{words[0]}={value or 0.1}")
    elif is_labels or (len(words) == 2 and ":" not in value):
        share = _parse_share(what, value)
        yield PrevalenceRequest(task, label, (1 - share, share))
    else:
        yield PrevalenceRequest(task, label, _parse_class_shares(what, value, words))


def _list_questions(tasks: Mapping[str, Task]) -> dict[str, tuple[str, str]]:
    """Map `TASK` and `TASK.LABEL` to (task, label), for the tasks whose frequencies can shift."""
    questions: dict[str, tuple[str, str]] = {}
    for name, task in tasks.items():
        form = find_answer_form(task.kind)
        if form in ("class", "grade", "labels"):
            questions[name] = name, ""
        if form == "labels":
            questions |= {f"{name}.{label}": (name, label) for label in list_class_names(task)}
    return questions


def _parse_share(what: str, value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = float("nan")
    if not (isfinite(share) and 0 < share < 1):
        raise PolytaskError(f"{what}: expected a share above 0 and below 1, or {ESTIMATE!r}; got {value!r}")
    return share


def _parse_class_shares(what: str, value: str, words: Sequence[str]) -> tuple[float, ...]:
    example = ",".join(f"{word}:{1 / len(words):.3g}" for word in words)
    shares: dict[str, float] = {}
    for part in value.split(","):
        word, colon, share = part.rpartition(":")
        if not colon:
            raise PolytaskError(f"{what}: expected a share for each class, e.g. {example}; got {part!r}")
        if word not in words:
            raise PolytaskError(f"{what}: no class {word!r}; {suggest_word(word, list(words), 'use')}")
        if word in shares:
            raise PolytaskError(f"{what}: class {word!r} is named twice; name it once")
        shares[word] = _parse_share(what, share)
    if missing := [word for word in words if word not in shares]:
        raise PolytaskError(f"{what}: no share for class {missing[0]!r}; name every class once")
    if abs(sum(shares.values()) - 1) > SUM_ERROR:
        raise PolytaskError(f"{what}: the shares add up to {sum(shares.values()):g}; make it 1")
    return tuple(shares[word] for word in words)


def store_prevalence(
    tasks: Mapping[str, Task], promises: Mapping[str, Any] | None, texts: Sequence[str]
) -> dict[str, Any]:
    """Add the prevalence that a model is exported for to what it promises, and seal it again."""
    if promises is None:
        raise PolytaskError("--prevalence needs calibrated probabilities: run `polytask trust RUN` first")
    requests = parse_prevalences(texts, tasks)
    for request in requests:
        if request.shares is None:
            raise PolytaskError(
                f"--prevalence {request.question}={ESTIMATE}: a model is exported for a stated prevalence; give "
                f"{ESTIMATE!r} to predict"
            )
    content = {k: v for k, v in promises.items() if k != SEAL_KEY}
    content[PREVALENCE_KEY] = [asdict(request) for request in requests]
    return content | {SEAL_KEY: compute_seal(content)}


def read_stored_prevalence(promises: Mapping[str, Any] | None) -> list[PrevalenceRequest]:
    """Read the prevalence that a model was exported for; nothing for other models."""
    return [
        PrevalenceRequest(str(entry["task"]), str(entry["label"]), tuple(map(float, entry["shares"])))
        for entry in (promises or {}).get(PREVALENCE_KEY, ())
    ]
