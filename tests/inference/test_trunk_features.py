"""Trunk features come from the pass that predicts, and cost nothing where nobody listens."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from polytask.inference.sample_prediction import predict_sample
from polytask.inference.trunk_features import TrunkFeatures, pool_map
from polytask.prepare.evaluation_sample import FullSample, full_sample
from polytask.training.rehearsal import Rehearsal, load_rehearsal

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def rehearsal(prepared: Path) -> Rehearsal:
    return load_rehearsal(prepared, device="cpu")


@pytest.fixture(scope="module")
def sample(rehearsal: Rehearsal) -> FullSample:
    context = rehearsal.context
    first = context.cohort.samples()[0]
    tasks, fold = rehearsal.state.network.tasks, context.plan.folds[context.fold]
    return full_sample(context.store, context.cohort, first, context.plan, fold, tasks)


def test_features_are_the_pooled_maps_of_the_encoder(rehearsal: Rehearsal, sample: FullSample) -> None:
    """Beside the predictions, which listening does not change; mirrored passes are not heard."""
    network, plan = rehearsal.state.network, rehearsal.context.plan
    maps: list[list[torch.Tensor]] = []
    (block,) = dict(network.blocks.items()).values()
    hook = block.register_forward_hook(lambda _, __, out: maps.append(out))
    listener = TrunkFeatures(whole=True)
    heard = predict_sample(network, sample, plan, CPU, flips=[(), (1,)], listener=listener)
    hook.remove()
    assert network.listener is None
    vectors = listener.list_vectors()
    slots = [slot for slot, image in enumerate(sample.images["scan"]) if image is not None]
    assert set(vectors) >= {("scan", slot) for slot in slots}
    pyramids: dict[str, list[torch.Tensor | None]] = maps[0]
    levels = {id(m): m for own in pyramids.values() for m in own if m is not None}
    for row, slot in enumerate(slots):
        pooled = [
            (m[row].flatten(1).mean(1), m[row].flatten(1).std(1, correction=0)) for m in levels.values()
        ]
        expected = torch.cat([torch.cat([mean for mean, _ in pooled]), torch.cat([sd for _, sd in pooled])])
        assert vectors["scan", slot] == pytest.approx(expected.numpy(), rel=1e-4, abs=1e-6)
    alone = predict_sample(network, sample, plan, CPU, flips=[(), (1,)])
    torch.testing.assert_close(alone, heard, rtol=0, atol=0, equal_nan=True)


def test_windows_count_where_no_task_reads_the_whole_view() -> None:
    maps = {"a": [torch.arange(8.0).reshape(1, 1, 2, 4), None]}
    listener = TrunkFeatures(whole=False)
    listener.begin([1], in_windows=True)
    listener.note("scan", maps)
    listener.note("scan", {"a": [torch.zeros(1, 1, 2, 4), None]})
    ((key, vector),) = listener.list_vectors().items()
    assert key == ("scan", 1)
    mean, sd = pool_map(maps["a"][0] if maps["a"][0] is not None else torch.zeros(0))[0, :, 0].tolist()
    assert (mean, sd) == pytest.approx((3.5, 5.25**0.5))
    assert vector.tolist() == pytest.approx([mean / 2, sd / 2])
    deaf = TrunkFeatures(whole=True)
    deaf.begin([1], in_windows=True)
    deaf.note("scan", maps)
    assert deaf.list_vectors() == {}


def test_slices_of_a_visit_are_averaged_and_crops_are_not_heard() -> None:
    listener = TrunkFeatures(whole=True)
    listener.begin([0, 2], in_windows=False)
    slices = torch.tensor([1.0, 3.0, 5.0, 9.0])[:, None, None, None].expand(4, 1, 2, 2)
    listener.note("scan", {"a": [slices], "b": [slices]})
    listener.note("scan", {"a": [slices + 100]})
    assert {k: v.tolist() for k, v in listener.list_vectors().items()} == {
        ("scan", 0): [2.0, 0.0],
        ("scan", 2): [7.0, 0.0],
    }
