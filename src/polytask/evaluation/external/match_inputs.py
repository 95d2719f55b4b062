"""Matches what the model reads with what another cohort has: inputs, channels, columns, categories, visits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Column, Header, ImageInput, Input
from polytask.errors import PolytaskError, suggest_word
from polytask.evaluation.external.word_gaps import WordGap, pair_words, split_gap_by_kind
from polytask.evaluation.external.word_map import WordMap
from polytask.kinds.header_words import is_same_word


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
    header: Header, categories: Mapping[str, Sequence[str]], other_cohort: Cohort, word_map: WordMap
) -> tuple[MatchedInputs, list[WordGap]]:
    """Match the inputs by name, or as the mapping file says.

    Args:
        header: header of the model. categories: column of the model → the values that it learned.
        other_cohort: the other cohort with its own header.
    """
    gaps: list[WordGap] = []
    named = dict(word_map.inputs)
    for word in named:
        if word not in other_cohort.header.inputs:
            raise word_map.fail(
                "inputs",
                f"{word!r} is no input of the cohort; {suggest_word(word, other_cohort.header.inputs)}",
            )
    kinds: dict[str, dict[str, str]] = {}
    for kind in ("image", "slide"):
        ours, theirs = _select_inputs_of_kind(header, kind), _select_inputs_of_kind(other_cohort.header, kind)
        mine = {k: v for k, v in named.items() if k in theirs}
        pairs = pair_words("inputs", "", list(theirs), list(ours), word_map, mine)
        kinds[kind] = {o: t for t, o in pairs.known.items()}
        gaps.append(pairs.gap)
    for name, other in list(kinds["slide"].items()):
        # Features of another width come from another extractor: they cannot be read at all.
        mine_width, width = header.slides[name].features, other_cohort.header.slides[other].features
        if mine_width != width:
            gaps.append(
                WordGap(
                    "kinds", name, (_describe_slide_features(width),), (_describe_slide_features(mine_width),)
                )
            )
            del kinds["slide"][name]
    channels, more = _match_channels(header, other_cohort.header, kinds["image"], word_map)
    columns, values, less = _match_columns(header, categories, other_cohort, word_map)
    visits, visit_gap = _match_visits(header, other_cohort, word_map)
    matched = MatchedInputs(
        kinds["image"], kinds["slide"], channels, columns, values,
        {name: word_map.units[name] for name in columns if name in word_map.units}, visits,
    )  # fmt: skip
    return matched, [*gaps, *more, *less, visit_gap]


def _describe_slide_features(width: int | None) -> str:
    return "whole slides" if width is None else f"bags of {width} features"


def _select_inputs_of_kind(header: Header, kind: str) -> dict[str, Input]:
    return {n: i for n, i in header.inputs.items() if i.kind == kind}


def _match_channels(
    header: Header, theirs: Header, images: Mapping[str, str], word_map: WordMap
) -> tuple[dict[str, str], list[WordGap]]:
    channels: dict[str, str] = {}
    gaps: list[WordGap] = []
    if odd := [name for name in word_map.channels if name not in header.images]:
        raise word_map.fail(
            "channels",
            f"{odd[0]!r} is not an image input of the model; {suggest_word(odd[0], header.images)}",
        )
    for name, other in images.items():
        mine, own = header.images[name], theirs.images[other]
        ensure_same_dims(name, mine, other, own)
        pairs = pair_words(
            "channels", name, list(own.channels), list(mine.channels), word_map, word_map.channels.get(name)
        )
        gaps.append(pairs.gap)
        for their, our in pairs.known.items():
            modalities = own.channels[their], mine.channels[our]
            # The same name is not enough: a channel `t1` that holds CT would be read as MR.
            if modalities[0] == modalities[1]:
                channels[f"{name}.{our}"] = f"{other}.{their}"
            else:
                gaps.append(WordGap("modalities", f"{name}.{our}", (modalities[0],), (modalities[1],)))
    return channels, gaps


def ensure_same_dims(name: str, model_input: ImageInput, their_name: str, their_input: ImageInput) -> None:
    """Refuse 2D images for a model of 3D images, and the other way round."""
    if model_input.dims != their_input.dims:
        raise PolytaskError(
            f"image {their_name!r} of the cohort is {their_input.dims}D, but the model reads {name!r} in "
            f"{model_input.dims}D; choose a cohort with {model_input.dims}D images"
        )


def _match_columns(
    header: Header, categories: Mapping[str, Sequence[str]], other_cohort: Cohort, word_map: WordMap
) -> tuple[dict[str, tuple[str, str]], dict[str, dict[str, str]], list[WordGap]]:
    ours = {c: s for table in header.tables.values() for c, s in table.columns.items()}
    theirs = {c: (t, s) for t, table in other_cohort.header.tables.items() for c, s in table.columns.items()}
    pairs = pair_words("columns", "", list(theirs), list(ours), word_map, word_map.columns)
    if odd := [name for name in word_map.values if name not in ours]:
        raise word_map.fail("values", f"{odd[0]!r} is no column of the model; {suggest_word(odd[0], ours)}")
    gaps = split_gap_by_kind(pairs.gap, lambda name: theirs[name][1].type, lambda name: ours[name].type)
    columns: dict[str, tuple[str, str]] = {}
    values: dict[str, dict[str, str]] = {}
    for their, our in pairs.known.items():
        table, spec = theirs[their]
        if spec.type != ours[our].type:
            gaps.append(WordGap("kinds", our, (spec.type,), (ours[our].type,)))
            continue
        columns[our] = (table, their)
        if spec.type == "category":
            words = pair_words(
                "values", our, _list_column_categories(other_cohort, their, spec), list(categories.get(our, ())),
                word_map, word_map.values.get(our), is_same=is_same_word, many=True,
            )  # fmt: skip
            values[our] = dict(words.known)
            gaps.append(words.gap)
    return columns, values, gaps


def _list_column_categories(other_cohort: Cohort, column: str, spec: Column) -> list[str]:
    """List the categories of a column that its header declares, else those that occur in the table."""
    if spec.values is not None:
        return list(spec.values)
    return sorted({c.cells[column] for c in other_cohort.cases if column in c.cells})


def _match_visits(header: Header, other_cohort: Cohort, word_map: WordMap) -> tuple[dict[str, str], WordGap]:
    """Match visits: their visit → the model's. Two cohorts with one visit each mean the same by it, whatever its
    name."""
    ours, theirs = header.visits or [""], other_cohort.header.visits or [""]
    if not word_map.visits and len(ours) == len(theirs) == 1:
        return {theirs[0]: ours[0]}, WordGap("visits", "", (), ())
    named = [v or "(no visit)" for v in theirs]
    pairs = pair_words("visits", "", named, ours, word_map, word_map.visits)
    return {theirs[named.index(t)]: o for t, o in pairs.known.items()}, pairs.gap
