"""Decide which samples make which batch, from (seed, epoch) alone: the same for any number of workers and processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from polytask.prepare.seeded_generators import make_generator

KnownSamples = Mapping[str, frozenset[int]]
"""Task → the samples in which it is known, as indices."""


def shuffle_samples(subjects: Sequence[Sequence[int]], seed: int, start: int, count: int) -> list[int]:
    """Return the samples at the places `start … start + count` of an endless random sequence.

    The sequence is one permutation of the subjects after another, so every subject comes once before any comes twice,
    across the borders of batches and epochs (the last batch is filled from the next permutation). A subject with
    several samples (its visits, when no task looks across visits) shows another one each time.

    Args:
        subjects: the samples of each subject, as indices.
        seed: of the run.
    """
    row = []
    for place in range(start, start + count):
        turn, index = divmod(place, len(subjects))
        if index == 0 or place == start:
            permutation = make_generator(seed, "order", turn).permutation(len(subjects))
        # The subject's own number shifts the turn, so that not all subjects show their first visit together.
        mine = subjects[int(permutation[index])]
        row.append(mine[(turn + int(permutation[index])) % len(mine)])
    return row


def insert_rare_tasks(
    row: list[int], batch: int, max_gaps: Mapping[str, int], known: KnownSamples, draw: Callable[[int], float]
) -> list[int]:
    """Replace samples so that each rare task is known at least once in any `max_gaps[task]` steps in a row.

    A task is due in the first step of an epoch, and when that many steps have passed without it. A sample in which it
    is known then replaces one that no other due task needs, or one of which it serves the due tasks as well. Where
    neither exists (more rare tasks than places), the task stays due.

    Args:
        row: the samples of an epoch, `batch` for each step.
        max_gaps: task → steps.
        known: task → samples in which it is known.
        draw: number of the draw → uniform in [0, 1).

    Returns:
        a new list; `row` stays as it is.
    """
    row, last, draws = list(row), {task: -steps for task, steps in max_gaps.items()}, 0
    for step in range(len(row) // batch):
        places = range(step * batch, (step + 1) * batch)
        due = [t for t, steps in max_gaps.items() if step - last[t] >= steps and known[t]]
        for task in due:
            missing = [t for t in due if not any(row[p] in known[t] for p in places)]
            if task not in missing:
                continue
            needs = {p: [t for t in due if [q for q in places if row[q] in known[t]] == [p]] for p in places}
            for place in sorted(places, key=lambda p: len(needs[p])):
                fitting = known[task].intersection(*(known[t] for t in needs[place]))
                if fitting:
                    most = max(sum(s in known[t] for t in missing) for s in fitting)
                    # Sorted, because a set has no defined order and every process must choose the same sample.
                    best = sorted(s for s in fitting if sum(s in known[t] for t in missing) == most)
                    row[place] = best[int(draw(draws) * len(best))]
                    draws += 1
                    break
        for task in max_gaps:
            if any(row[p] in known[task] for p in places):
                last[task] = step
    return row


def make_epoch_order(
    subjects: Sequence[Sequence[int]],
    seed: int,
    epoch: int,
    steps: int,
    batch: int,
    every: Mapping[str, int],
    known: KnownSamples,
) -> list[int]:
    """Return the samples of one epoch, `batch` for each of its steps, with rare tasks placed often enough."""
    row = shuffle_samples(subjects, seed, epoch * steps * batch, steps * batch)
    return insert_rare_tasks(
        row, batch, every, known, lambda n: float(make_generator(seed, "rare", epoch, n).random())
    )
