from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from polytask.errors import PolytaskError
from polytask.model.building_blocks import no_cut
from polytask.model.crop_reader import CropPool, CropReader, CropSpec, choose_places, rank_places
from polytask.model.export import Exportable
from polytask.tasks import make_task
from tests.model.worlds import FIELDS, inputs_of, network_of, tasks_of, total


def never(*_: Any) -> Any:
    raise AssertionError("not asked for")


def stages(x: Tensor, count: int, cut: Any) -> dict[str, list[Tensor | None]]:
    """The first channel of a crop and, at half the resolution, its second one, as if they were the maps of stages."""
    return {"type": [x[:, :1], cut(x[:, 1:, ::2, ::2], ["type"])["type"]]}


def reader(count: int, task: str | None = None) -> CropReader:
    torch.manual_seed(0)
    chooser = None if task is None else make_task(task, FIELDS[task])
    return CropReader(CropSpec(count, task, every_stage=task is None), (1, 1), 4, ["type"], chooser)


def places(count: int, size: int = 4) -> tuple[Tensor, Tensor]:
    crops = torch.randn((1, count, 2, size, size), generator=torch.Generator().manual_seed(3))
    return crops, torch.ones(1, count, dtype=torch.bool)


def encode(net: CropReader, crops: Tensor, places: Tensor | None = None) -> Tensor:
    """The vectors `[P, width]` of crops `[P, C, h, w]`: mean and maximum of each stage, and five times what is special
    about them among all places `[G, C, h, w]`, projected."""
    own, every = pool(crops), pool(crops if places is None else places)
    vectors: Tensor = net.projections["type"](torch.cat([own, 5 * (own - every.mean(0))], 1))
    return vectors


def pool(crops: Tensor) -> Tensor:
    maps = [crops[:, :1], crops[:, 1:, ::2, ::2]]
    return torch.cat([f(m) for m in maps for f in (mean_of, max_of)], 1)


def mean_of(maps: Tensor) -> Tensor:
    return maps.mean((2, 3))


def max_of(maps: Tensor) -> Tensor:
    return maps.amax((2, 3))


def weigh(net: CropReader, h: Tensor) -> Tensor:
    """Ilse 2018 by hand: softmax over w·(tanh(Vh) * sigmoid(Uh)) of vectors `[P, width]`."""
    a = net.pools["type"].attention
    scores = (torch.tanh(a.value(h)) * torch.sigmoid(a.gate(h))) @ a.score.weight[0]
    return scores.exp() / scores.exp().sum()


def test_all_places_are_read_where_they_are_few_enough() -> None:
    crops, known = places(3)
    net = reader(3).eval()
    h, join = encode(net, crops[0]), net.pools["type"].join
    pooled = torch.cat([weigh(net, h) @ h, h.max(0).values])
    expected = join.weight @ pooled + join.bias
    torch.testing.assert_close(net(stages, never, crops, known, no_cut)["type"][0], expected)


def test_the_vector_holds_every_stage_or_the_deepest_alone() -> None:
    """Texture that the deepest map has averaged away is read from the finest one."""
    crops, known = places(3)
    rough = crops.clone()
    rough[:, :, 0] *= 3  # the finest map alone
    for every_stage in (True, False):
        net = CropReader(CropSpec(3, every_stage=every_stage), (1, 1), 4, ["type"]).eval()
        even, other = (net(stages, never, x, known, no_cut)["type"] for x in (crops, rough))
        assert torch.equal(even, other) is not every_stage


def test_what_a_place_differs_in_is_measured_from_the_known_places() -> None:
    """Unknown places are no part of what is usual, and what all places share makes no contrast."""
    net = reader(2).eval()
    crops, known = places(5)
    known[0, 3:] = False
    crops[0, 3:] = 1e9
    torch.testing.assert_close(
        net(stages, never, crops, known, no_cut), net(stages, never, crops[:, :3], known[:, :3], no_cut)
    )
    next(net.projections["type"].parameters()).data[:, :4] = 0.0  # the contrast alone
    torch.testing.assert_close(
        net(stages, never, crops[:, :3] + 7, known[:, :3], no_cut),
        net(stages, never, crops[:, :3], known[:, :3], no_cut),
    )


def test_the_places_that_the_vector_comes_from_are_read() -> None:
    crops, known = places(40)
    net = reader(5).eval()
    h = encode(net, crops[0])
    held = torch.bincount(h.argmax(0), minlength=40) / h.shape[1]
    best = (weigh(net, h) + held).topk(5).indices
    expected = net.pools["type"](encode(net, crops[0, best], crops[0])[None], known[:, :5])
    torch.testing.assert_close(net(stages, never, crops, known, no_cut)["type"], expected)


def test_one_place_among_many_reaches_the_vector_undiluted() -> None:
    """Attention that has not learned yet weighs 64 places alike; the largest values hold what one of them shows."""
    net = CropPool(4)
    torch.nn.init.zeros_(net.attention.score.weight)
    for count in (4, 64):
        vectors = torch.zeros(1, count, 4)
        vectors[0, 1] = 1.0
        vectors.requires_grad_()
        net.join.weight.data[:, :4], net.join.weight.data[:, 4:] = 0.0, torch.eye(4)
        pooled = net(vectors, torch.ones(1, count, dtype=torch.bool))
        torch.testing.assert_close(pooled - net.join.bias, torch.ones(1, 4))
        (gradient,) = torch.autograd.grad(pooled.sum(), vectors)
        assert gradient[0, 1].tolist() == [1.0] * 4, "whatever the number of places"


def test_unknown_places_hold_nothing_and_no_place_gives_a_constant() -> None:
    net, vectors = CropPool(4), torch.randn(2, 3, 4)
    known = torch.tensor([[True, True, False], [False] * 3])
    vectors[0, 2] = 1e9
    torch.testing.assert_close(net(vectors, known)[:1], net(vectors[:1, :2], known[:1, :2]))
    assert torch.equal(net(vectors, known)[1], net.join.bias)
    shares = net.compute_shares(vectors, known)
    assert shares[0, 2] == 0
    torch.testing.assert_close(shares[0].sum(), torch.tensor(2.0))


def test_a_mask_chooses_the_places_where_it_is_surest() -> None:
    crops, known = places(6, size=6)
    net = reader(2, "mask").eval()

    def answers(x: Tensor, count: int) -> Tensor:
        # Logits of background, a, b: structure b stands out in the crops 4 and 1; a single voxel of crop 3 is noise.
        output = torch.zeros((6, 3, 6, 6))
        output[4, 2, 1:4, 1:4], output[1, 2, 2:5, 2:5], output[3, 1, 0, 0] = 5.0, 4.0, 9.0
        return output

    expected = net(stages, never, crops[:, [4, 1]], known[:, :2], no_cut)["type"]
    torch.testing.assert_close(net(stages, answers, crops, known, no_cut)["type"], expected)


def test_an_unknown_place_is_never_read_and_half_of_the_others_are_drawn_in_training() -> None:
    scores = torch.arange(20.0)[None]
    known = torch.ones(1, 20, dtype=torch.bool)
    known[0, 19] = False
    assert choose_places(scores, known, 4, 0.0)[0].tolist() == [18, 17, 16, 15]
    torch.manual_seed(0)
    drawn = [choose_places(scores, known, 4, 0.5)[0].tolist() for _ in range(200)]
    assert all(row[:2] == [18, 17] and len(set(row)) == 4 and 19 not in row for row in drawn)
    assert {place for row in drawn for place in row[2:]} == set(range(17))
    few = known & (torch.arange(20) < 3)
    assert set(choose_places(scores, few, 4, 0.5)[0].tolist()) > {0, 1, 2}


def test_ranks_count_from_the_best() -> None:
    assert rank_places(torch.tensor([[0.1, 0.9, -torch.inf, 0.5]])).tolist() == [[2, 0, 3, 1]]


def crop_network(**changes: Any) -> Any:
    return network_of(tasks_of("all"), 2, crops={"scan": CropSpec(2, every_stage=True)}, **changes)


def crop_inputs(places: int) -> Any:
    given = inputs_of(2)
    crops = torch.randn((3, 2, places, 2, 8, 8), generator=torch.Generator().manual_seed(1))
    return replace(given, crops={"scan": crops}, crop_known={"scan": torch.ones(3, 2, places) > 0})


@pytest.mark.parametrize(
    ("sharing", "encoder"),
    [
        *((name, "residual") for name in ("hard", "single", "cross_stitch", "mtan", "ctan", "task_tokens")),
        ("task_tokens", "swin"),
    ],
)
def test_crops_reach_visit_and_subject_tasks_and_no_mask(sharing: str, encoder: str) -> None:
    network, given = crop_network(sharing=sharing, encoder=encoder).eval(), crop_inputs(5)
    other = replace(given, crops={"scan": given.crops["scan"] + 1})
    before, after = network(given), network(other)
    for task in ("grade", "type", "response"):
        assert not torch.equal(before[task], after[task])
    for task in ("mask", "dose"):
        assert torch.equal(before[task][0], after[task][0])


def test_padded_places_and_the_places_of_absent_visits_change_nothing() -> None:
    network, given = crop_network().eval(), crop_inputs(5)
    padded = torch.cat([given.crops["scan"], torch.full((3, 2, 4, 2, 8, 8), 1e9)], 2)
    padded[1, 1] = -1e9
    known = torch.cat([given.crop_known["scan"], torch.zeros(3, 2, 4, dtype=torch.bool)], 2)
    other = network(replace(given, crops={"scan": padded}, crop_known={"scan": known}))
    for task, output in network(given).items():
        if isinstance(output, Tensor):
            there = slice(None) if task == "response" else given.visit_known.flatten()
            torch.testing.assert_close(other[task][there], output[there])


def test_every_parameter_of_the_reader_belongs_to_the_task_whose_loss_reaches_it() -> None:
    network, given = crop_network().train(), crop_inputs(5)
    roles = {n: r for n, r in network.roles().items() if n.startswith("crops.")}
    assert set(roles) == {n for n, _ in network.named_parameters() if n.startswith("crops.")}
    for task in ("grade", "type", "response"):
        network.zero_grad(set_to_none=True)
        total(network(given)[task]).backward()
        reached = {n for n, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
        assert {n for n in reached if n.startswith("crops.")} == {
            n for n, role in roles.items() if role == f"private:{task}"
        }


def test_choosing_places_takes_no_gradient_away_in_bf16() -> None:
    crops, known = places(12)
    net = reader(4).train()
    with torch.autocast("cpu", torch.bfloat16):
        net(stages, never, crops, known, no_cut)["type"].sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_a_network_with_crops_has_no_fixed_graph() -> None:
    with pytest.raises(PolytaskError, match="roi"):
        Exportable(crop_network())


def split_reader(flags: int = 0) -> CropReader:
    torch.manual_seed(0)
    spec = CropSpec(3, "mask", surroundings=True, flags=flags)
    return CropReader(spec, (1, 1), 4, ["type"], make_task("mask", FIELDS["mask"])).eval()


def draw_left_half(x: Tensor, count: int) -> Tensor:
    """Logits of a mask that covers the left half of every crop, for sure."""
    logits = torch.zeros(len(x), make_task("mask", FIELDS["mask"]).outputs, *x.shape[2:])
    logits[:, 1, :, : x.shape[-1] // 2] = 200.0
    logits[:, 0, :, x.shape[-1] // 2 :] = 200.0
    return logits


def test_the_finding_and_its_surroundings_become_two_vectors() -> None:
    """Each voxel of a crop reaches one of the two: that of the finding where the mask is, the other one elsewhere."""
    crops, known = places(3)
    net, crops = split_reader(), crops.requires_grad_()
    vectors = net(stages, draw_left_half, crops, known, no_cut)
    assert list(vectors) == ["type", "type surroundings"]
    reached = [
        torch.autograd.grad(vector.square().sum(), crops, retain_graph=True)[0].abs().sum((0, 1, 2)) > 0
        for vector in vectors.values()
    ]
    assert reached[0][:, :2].any()
    assert reached[1][:, 2:].any()
    assert not reached[0][:, 2:].any()
    assert not reached[1][:, :2].any()


def test_the_two_vectors_are_those_of_the_masked_crops_and_have_their_own_layers() -> None:
    crops, known = places(3)
    net = split_reader()
    vectors = net(stages, draw_left_half, crops, known, no_cut)
    for key, columns in (("type", slice(0, 2)), ("type surroundings", slice(2, 4))):
        hidden = torch.zeros_like(crops)
        hidden[..., columns] = crops[..., columns]
        deep = hidden[0, :, 1:, ::2, ::2]
        features = net.projections[key](torch.cat([mean_of(deep), max_of(deep)], 1))
        torch.testing.assert_close(vectors[key], net.pools[key](features[None], known))
    assert {role for name, role in net.roles().items() if "surroundings" in name} == {"private:type"}


def test_flags_of_channels_are_not_hidden_and_the_mask_gets_no_gradient() -> None:
    crops, known = places(3)
    logits = torch.zeros(3, 3, 4, 4, requires_grad=True)
    net = split_reader(flags=1)
    vectors = net(stages, lambda x, count: logits * 1.0, crops, known, no_cut)
    assert not any(
        v.requires_grad and torch.autograd.grad(v.sum(), logits, allow_unused=True)[0] is not None
        for v in vectors.values()
    )
    # Only the second plane is read by the deepest stage, and it is the flag: both halves see it as it is.
    deep = crops[0, :, 1:, ::2, ::2]
    seen = net.projections["type"](torch.cat([mean_of(deep), max_of(deep)], 1))
    torch.testing.assert_close(vectors["type"], net.pools["type"](seen[None], known))


def test_a_network_fuses_findings_and_surroundings_as_two_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    crops = {"scan": CropSpec(2, "mask", surroundings=True)}
    network, given = network_of(tasks_of("all"), 2, crops=crops), crop_inputs(5)
    seen: list[dict[str, Any]] = []
    branch = type(network.branches["grade"])
    fuse = branch.fuse_sources

    def note_tokens(self: Any, tokens: Any, day: Tensor) -> Any:
        seen.append(dict(tokens))
        return fuse(self, tokens, day)

    monkeypatch.setattr(branch, "fuse_sources", note_tokens)
    network.train()
    output = network(given)
    both = {"findings of scan", "surroundings of scan"}
    assert [both & set(tokens) for tokens in seen] == [both] * 3, "grade, type and response"
    first, second = (seen[0][name].maps[0] for name in sorted(both))
    assert first.shape == second.shape == (3, 2, 8)
    assert not torch.equal(first, second)
    roles = {n: r for n, r in network.roles().items() if n.startswith("crops.")}
    network.zero_grad(set_to_none=True)
    total(output["grade"]).backward()
    reached = {n for n, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert {n for n in reached if n.startswith("crops.")} == {
        n for n, r in roles.items() if r == "private:grade"
    }
