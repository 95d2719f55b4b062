"""Matches what the model reads with what another cohort has: inputs, channels, columns, categories, visits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Column, Header, ImageInput, Input
from polytask.errors import PolytaskError, nearest
from polytask.evaluation.external.gaps import Gap, pair_words, split_gap
from polytask.evaluation.external.word_map import WordMap
from polytask.kinds.words import same_word


@dataclass(frozen=True)
class MatchedInputs:
    """The counterparts of the model's inputs in another cohort.

    Args:
        images, slides: the model's input → theirs.
        channels: the model's column `input.channel` → theirs.
        columns: the model's column → (their table input, their column).
        values: the model's column → their category → the model's.
        factors: the model's column of numbers → factor from their unit to the model's.
        visits: their visit → the model's.
    """

    images: Mapping[str, str]
    slides: Mapping[str, str]
    channels: Mapping[str, str]
    columns: Mapping[str, tuple[str, str]]
    values: Mapping[str, Mapping[str, str]]
    factors: Mapping[str, float]
    visits: Mapping[str, str]


def match_inputs(
    header: Header, categories: Mapping[str, Sequence[str]], own: Cohort, said: WordMap
) -> tuple[MatchedInputs, list[Gap]]:
    """Match the inputs by name, or as the mapping file says.

    Args:
        header: header of the model. categories: column of the model → the values that it learned.
        other_cohort: the other cohort with its own header.
    """
    gaps: list[Gap] = []
    named = dict(said.inputs)
    for word in named:
        if word not in own.header.inputs:
            raise said.fail(
                "inputs", f"{word!r} is no input of the cohort; {nearest(word, own.header.inputs)}"
            )
    kinds: dict[str, dict[str, str]] = {}
    for kind in ("image", "slide"):
        ours, theirs = _of_kind(header, kind), _of_kind(own.header, kind)
        mine = {k: v for k, v in named.items() if k in theirs}
        pairs = pair_words("inputs", "", list(theirs), list(ours), said, mine)
        kinds[kind] = {o: t for t, o in pairs.known.items()}
        gaps.append(pairs.gap)
    for name, other in list(kinds["slide"].items()):
        # Features of another width come from another extractor: they cannot be read at all.
        mine_width, width = header.slides[name].features, own.header.slides[other].features
        if mine_width != width:
            gaps.append(Gap("kinds", name, (_bag(width),), (_bag(mine_width),)))
            del kinds["slide"][name]
    channels, more = _channels(header, own.header, kinds["image"], said)
    columns, values, less = _columns(header, categories, own, said)
    visits, visit_gap = _visits(header, own, said)
    matched = MatchedInputs(
        kinds["image"], kinds["slide"], channels, columns, values,
        {name: said.units[name] for name in columns if name in said.units}, visits,
    )  # fmt: skip
    return matched, [*gaps, *more, *less, visit_gap]


def _bag(width: int | None) -> str:
    return "whole slides" if width is None else f"bags of {width} features"


def _of_kind(header: Header, kind: str) -> dict[str, Input]:
    return {n: i for n, i in header.inputs.items() if i.kind == kind}


def _channels(
    header: Header, theirs: Header, images: Mapping[str, str], said: WordMap
) -> tuple[dict[str, str], list[Gap]]:
    found: dict[str, str] = {}
    gaps: list[Gap] = []
    if odd := [name for name in said.channels if name not in header.images]:
        raise said.fail(
            "channels", f"{odd[0]!r} is no image input of the model; {nearest(odd[0], header.images)}"
        )
    for name, other in images.items():
        mine, own = header.images[name], theirs.images[other]
        ensure_dims(name, mine, other, own)
        pairs = pair_words(
            "channels", name, list(own.channels), list(mine.channels), said, said.channels.get(name)
        )
        gaps.append(pairs.gap)
        for their, our in pairs.known.items():
            modalities = own.channels[their], mine.channels[our]
            # The same name is not enough: a channel `t1` that holds CT would be read as MR.
            if modalities[0] == modalities[1]:
                found[f"{name}.{our}"] = f"{other}.{their}"
            else:
                gaps.append(Gap("modalities", f"{name}.{our}", (modalities[0],), (modalities[1],)))
    return found, gaps


def ensure_dims(name: str, mine: ImageInput, other: str, own: ImageInput) -> None:
    """Refuse 2D images for a model of 3D images, and the other way round."""
    if mine.dims != own.dims:
        raise PolytaskError(
            f"image {other!r} of the cohort is {own.dims}D, but the model reads {name!r} in {mine.dims}D; "
            f"name a cohort with {mine.dims}D images"
        )


def _columns(
    header: Header, categories: Mapping[str, Sequence[str]], own: Cohort, said: WordMap
) -> tuple[dict[str, tuple[str, str]], dict[str, dict[str, str]], list[Gap]]:
    ours = {c: s for table in header.tables.values() for c, s in table.columns.items()}
    theirs = {c: (t, s) for t, table in own.header.tables.items() for c, s in table.columns.items()}
    pairs = pair_words("columns", "", list(theirs), list(ours), said, said.columns)
    if odd := [name for name in said.values if name not in ours]:
        raise said.fail("values", f"{odd[0]!r} is no column of the model; {nearest(odd[0], ours)}")
    gaps = split_gap(pairs.gap, lambda name: theirs[name][1].type, lambda name: ours[name].type)
    columns: dict[str, tuple[str, str]] = {}
    values: dict[str, dict[str, str]] = {}
    for their, our in pairs.known.items():
        table, spec = theirs[their]
        if spec.type != ours[our].type:
            gaps.append(Gap("kinds", our, (spec.type,), (ours[our].type,)))
            continue
        columns[our] = (table, their)
        if spec.type == "category":
            words = pair_words(
                "values", our, _categories(own, their, spec), list(categories.get(our, ())), said,
                said.values.get(our), same=same_word, many=True,
            )  # fmt: skip
            values[our] = dict(words.known)
            gaps.append(words.gap)
    return columns, values, gaps


def _categories(own: Cohort, column: str, spec: Column) -> list[str]:
    """List the categories of a column that its header declares, else those that occur in the table."""
    if spec.values is not None:
        return list(spec.values)
    return sorted({c.cells[column] for c in own.cases if column in c.cells})


def _visits(header: Header, own: Cohort, said: WordMap) -> tuple[dict[str, str], Gap]:
    """Match visits: their visit → the model's. Two cohorts with one visit each mean the same by it, whatever its
    name."""
    ours, theirs = header.visits or [""], own.header.visits or [""]
    if not said.visits and len(ours) == len(theirs) == 1:
        return {theirs[0]: ours[0]}, Gap("visits", "", (), ())
    named = [v or "(no visit)" for v in theirs]
    pairs = pair_words("visits", "", named, ours, said, said.visits)
    return {theirs[named.index(t)]: o for t, o in pairs.known.items()}, pairs.gap


def lost_channels(gaps: Sequence[Gap]) -> Iterator[str]:
    """List the model's channels and inputs that the cohort lacks, for a message."""
    for gap in gaps:
        if gap.section in ("inputs", "channels"):
            yield from (f"{gap.place}.{word}" if gap.place else word for word in gap.ours)
