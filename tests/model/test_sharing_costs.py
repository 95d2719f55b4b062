"""The cost table: exact counts on tiny networks, and the verb that prints it."""

from __future__ import annotations

import json
from itertools import count

import pytest
from psutil import Process

from polytask import cli
from polytask.cli.cost_table import describe_task_mix
from polytask.errors import PolytaskError
from polytask.model.cost_setting import (
    TASK_MIXES,
    CostSetting,
    make_cost_network,
    make_cost_tasks,
    make_noise_inputs,
)
from polytask.model.sharing import SHARINGS, list_forms
from polytask.model.sharing_costs import SharingCost, measure_cost_memory, measure_sharing_costs

TINY = {"dims": 2, "size": 16, "widths": (8, 16, 16)}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of one command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["polytask", "bench", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
    said = capsys.readouterr()
    return int(caught.value.code or 0), said.out, said.err


def counted(mix: str, tasks: int, *sharings: str) -> dict[tuple[str, str], SharingCost]:
    found = measure_sharing_costs(CostSetting(mix, tasks, **TINY), sharings, rounds=0)  # type: ignore[arg-type]
    return {(c.sharing, c.form): c for c in found}


def test_operations_of_a_network_with_one_task_are_those_of_its_layers() -> None:
    """Two stages of one block on 8 × 8, by hand: convolutions 3 × 3, the pointwise shortcuts, heads."""
    setting = CostSetting("one-voxel", 1, size=8, dims=2, widths=(4, 8), batch=1)
    assert setting.levels == 2
    fine, coarse = 64, 16
    encoder = fine * 9 * (1 * 4 + 4 * 4) + fine * 1 * 4 + coarse * 9 * (4 * 8 + 8 * 8) + coarse * 4 * 8
    decoder = coarse * 8 * 4 + fine * 9 * 8 * 4 + fine * 4 * 1
    hard, single = measure_sharing_costs(setting, (), rounds=0)
    assert hard.flops == single.flops == 2 * (encoder + decoder)
    assert hard.parameters == single.parameters
    assert hard.memory == single.memory > 0


@pytest.mark.parametrize("mix", TASK_MIXES)
def test_counts_are_ordered_as_the_blocks_say(mix: str) -> None:
    cost = counted(mix, 3, *SHARINGS)
    hard, single = cost["hard", "light"], cost["single", "light"]
    assert set(cost) == {(s, f) for s in SHARINGS for f in list_forms(s)}
    for measure_of in ("flops", "parameters", "memory"):
        assert all(getattr(hard, measure_of) <= getattr(c, measure_of) for c in cost.values()), measure_of
        for name in ("mtan", "ctan"):
            light, paper = (getattr(cost[name, form], measure_of) for form in list_forms(name))
            assert light < paper, (name, measure_of)
    assert cost["cross_stitch", "light"].flops == single.flops
    assert cost["cross_stitch", "light"].memory > single.memory
    assert cost["mtan", "light"].flops < 1.2 * hard.flops


def test_a_second_pooled_task_costs_hard_sharing_nothing() -> None:
    """Pooled heads are a few rows of a matrix; a network of its own runs the encoder again."""
    two, three = counted("one-voxel", 2), counted("one-voxel", 3)
    assert three["hard", "light"].flops < 1.01 * two["hard", "light"].flops
    assert three["single", "light"].flops > 1.3 * two["single", "light"].flops
    assert (
        counted("all-voxel", 3)["hard", "light"].flops > 1.3 * counted("all-voxel", 2)["hard", "light"].flops
    )


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_memory_is_that_of_the_maps(precision: str) -> None:
    """Twice the cases keep twice as much, weights left out; the copies of weights that autocast keeps do not grow."""
    one, two, three = (
        [
            c.memory
            for c in measure_sharing_costs(
                CostSetting(batch=n, precision=precision, **TINY), SHARINGS, rounds=0
            )
        ]  # type: ignore[arg-type]
        for n in (1, 2, 3)
    )
    assert [b - a for a, b in zip(one, two, strict=True)] == [c - b for b, c in zip(two, three, strict=True)]
    if precision == "float32":
        assert [2 * a for a in one] == two


def test_counting_memory_gives_it_back() -> None:
    """Saved tensors must not be handed back to the graph that saved them: it would never be freed."""
    setting = CostSetting("all-voxel", 2, 32, precision="float32")
    network, inputs = (
        make_cost_network(setting, make_cost_tasks(setting), "mtan", "paper"),
        make_noise_inputs(setting),
    )
    sizes = []
    for _ in range(4):
        kept = measure_cost_memory(network, inputs, setting)
        sizes.append(Process().memory_info().rss)
    assert sizes[-1] - sizes[0] < kept, (sizes, kept)


def test_mixes_hold_what_they_say() -> None:
    levels = [t.level for t in make_cost_tasks(CostSetting("one-voxel", 4)).values()]
    assert levels == ["voxel", "visit", "visit", "visit"]
    assert {t.level for t in make_cost_tasks(CostSetting("all-voxel", 4)).values()} == {"voxel"}
    assert [describe_task_mix(CostSetting(mix, 1)) for mix in TASK_MIXES] == ["1 voxel task", "1 voxel task"]


@pytest.mark.parametrize(("size", "levels"), [(64, 5), (63, 4), (32, 4), (16, 3), (8, 2)])
def test_the_deepest_map_keeps_an_edge_of_four(size: int, levels: int) -> None:
    assert CostSetting(size=size).levels == levels


def test_time_is_compared_round_by_round() -> None:
    slow, quick = (SharingCost("x", "light", 1, 1, 1, s) for s in ((2.0, 6.0, 40.0), (1.0, 2.0, 10.0)))
    assert slow.compare_time(quick) == (3.0, 2.5, 3.5)


def test_sides_take_turns_and_the_first_round_does_not_count() -> None:
    ticks = count()
    found = measure_sharing_costs(
        CostSetting(tasks=2, **TINY), ("mtan",), ("light",), 2, lambda: float(next(ticks))
    )  # type: ignore[arg-type]
    assert [c.sharing for c in found] == ["hard", "single", "mtan"]
    assert all(c.seconds == (1.0, 1.0) for c in found)
    assert next(ticks) == 3 + 3 * 2 * 2, "a look at the clock for each warm step, two for a timed one"


def test_the_verb_prints_a_table_for_every_mix(capsys: pytest.CaptureFixture[str]) -> None:
    small = ("models", "--dims", "2", "--size", "8", "--device", "cpu", "--sharing", "mtan")
    code, out, _ = run(capsys, *small, "--tasks", "2", "--rounds", "2")
    assert code == 0
    titles = ("1 voxel task and 1 pooled", "2 voxel tasks")
    lines = out.splitlines()
    assert [line for line in lines if line in titles] == list(titles)
    heading = next(line.split() for line in lines if line.startswith("sharing "))
    assert heading.count("hard") == heading.count("singles") == 4, (
        "each of the four figures stands beside both"
    )
    for name in ("hard ", "single ", "mtan_light ", "mtan "):
        assert sum(line.startswith(name) for line in lines) == 2 + (name == "single "), name  # the legend too


def test_json_holds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    small = ("models", "--dims", "2", "--size", "8", "--device", "cpu", "--sharing", "ctan")
    code, out, _ = run(
        capsys, *small, "--tasks", "3", "--mix", "one-voxel", "--forms", "light", "--rounds", "1", "--json"
    )
    (document,) = json.loads(out)
    assert code == 0
    assert (document["mix"], document["tasks"], document["levels"]) == ("one-voxel", 3, 2)
    hard, single, ctan = document["costs"]
    assert [c["sharing"] for c in document["costs"]] == ["hard", "single", "ctan"]
    assert hard["flops"] < single["flops"]
    assert ctan["flops_to_hard"] == ctan["flops"] / hard["flops"]
    assert ctan["parameters_to_hard"] == ctan["parameters"] / hard["parameters"]
    assert ctan["memory_to_single"] == ctan["memory"] / single["memory"]
    assert ctan["time_to_single"]["median"] == pytest.approx(ctan["seconds"][0] / single["seconds"][0])


def test_the_verb_measures_with_another_encoder(capsys: pytest.CaptureFixture[str]) -> None:
    small = (
        "models",
        "--dims",
        "2",
        "--size",
        "16",
        "--device",
        "cpu",
        "--sharing",
        "task_tokens",
        "--rounds",
        "0",
    )
    words = (*small, "--tasks", "2", "--mix", "one-voxel", "--encoder")
    code, out, _ = run(capsys, *words, "swin")
    assert code == 0
    assert "3 levels, encoder swin" in out
    plain, swin = (json.loads(run(capsys, *words, name, "--json")[1])[0] for name in ("residual", "swin"))
    assert (plain["encoder"], swin["encoder"]) == ("residual", "swin")
    for mine, theirs in zip(plain["costs"], swin["costs"], strict=True):
        assert mine["parameters"] != theirs["parameters"]
        assert 0.8 < theirs["predicted_to_memory"] < 1.25, theirs


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("--sharing", "mtn"), "no sharing is called 'mtn': did you mean 'mtan'?"),
        (("--forms", "heavy"), "no form is called 'heavy': choose from light, paper"),
        (("--encoder", "swan"), "no encoder is called 'swan': did you mean 'swin'?"),
        (("--mix", "voxels"), "mix 'voxels': choose from one-voxel, all-voxel"),
        (("--tasks", "two"), "--tasks 'two': expected numbers of tasks, such as 2,3,5"),
        (("--tasks", "0"), "0 tasks: at least 1"),
        (("--size", "4"), "size 4: at least 8"),
        (("--dims", "4"), "dims 4: choose 2 or 3"),
        (("--device", "tpu"), "device 'tpu'"),
    ],
)
def test_wrong_words_are_answered_in_one_line(
    capsys: pytest.CaptureFixture[str], words: tuple[str, str], answer: str
) -> None:
    code, out, err = run(capsys, "models", *words)
    assert (code, out) == (2, "")
    assert answer in err


def test_a_cost_needs_a_known_sharing() -> None:
    with pytest.raises(PolytaskError, match="choose from hard"):
        measure_sharing_costs(CostSetting(**TINY), ("zzz",))  # type: ignore[arg-type]


def test_bench_lists_its_parts(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "steps" in out
    assert "models" in out
    for words, answer in (
        (("steps",), "WORK"),
        (("modles",), "did you mean 'models'?"),
        (("--fold", "1"), "WORK"),
    ):
        code, _, err = run(capsys, *words)
        assert code == 2
        assert answer in err
