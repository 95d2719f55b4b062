"""The arm whose tasks are grouped by measured affinity: bad input, where its groups come from, and the whole way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from polytask.errors import PolytaskError
from polytask.locks import hold_lock
from polytask.study.arm_text import read_arm_text
from polytask.study.arms import Arm
from polytask.study.grouped_run import (
    make_grouped_request,
    read_mean_affinity,
    refuse_impossible_groups,
    wait_for_measurement,
)
from polytask.study.run_spec import STUDY_RECORD_FILE, RunSpec, build_run_spec
from polytask.study.stop_request import StopRequest
from polytask.study.study_folder import Study
from polytask.study.study_request import StudyRequest
from polytask.training.run_record import assign_networks
from tests.journeys.run_cli import polytask
from tests.study.test_study_design import DESIGN

HARD, GROUPS = Arm("hard", "hard"), Arm("groups", "hard", groups=2)
THREE = ("lesion", "grade", "os")


def make_spec(work: Path) -> RunSpec:
    """The run of the arm on fold 0 with seed 0."""
    design = replace(DESIGN, arms=(HARD, GROUPS), tasks=None, overrides=(), cut=None)
    return build_run_spec(design, work / "studies" / "s", GROUPS, 0, 0)


def write_measuring_run(work: Path, spec: RunSpec, *looks: dict[str, float], done: bool = True) -> Path:
    """The log of a run of `hard`, as far as groups follow from it."""
    folder = work / "runs" / spec.measured_by
    folder.mkdir(parents=True)
    lines = [json.dumps({"step": k + 5, "affinity": look}) + "\n" for k, look in enumerate(looks)]
    (folder / "metrics.jsonl").write_text('{"step": 1, "losses": {"grade": 1.0}}\n' + "".join(lines))
    (folder / STUDY_RECORD_FILE).write_text(json.dumps({"costs": {"steps": 8}} if done else {"seconds": 3}))
    return folder


def test_the_bare_word_is_an_arm_with_two_networks() -> None:
    bare = read_arm_text("groups", set())
    assert (bare.name, bare.groups, bare.values) == ("groups", 2, ())
    own = read_arm_text("three: groups=3, sharing=mtan, model.dropout=0.2", set())
    assert (own.groups, own.sharing, own.values) == (3, "mtan", ("model.dropout=0.2",))
    assert Arm("three", "mtan", form="light", groups=3).describe() == "sharing=mtan_light, groups=3"
    assert not GROUPS.of_sharing
    assert StudyRequest(arms=("groups",)).choose_sharing(("ctan",)) == ("hard",), "it measures the affinities"
    assert StudyRequest(arms=("x: balance=famo",)).choose_sharing(("ctan",)) == ()
    assert StudyRequest().choose_sharing(("ctan",)) == ("ctan",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x: groups=1", "--arm x: groups=1: expected a number of networks, 2 or more"),
        ("x: groups=two", "--arm x: groups=two: expected a number of networks, 2 or more"),
        ("x: groups=0", "--arm x: groups=0: expected a number of networks, 2 or more"),
        (
            "x: groups=2, preset=mtan",
            "--arm x: groups share as sharing= says: give preset or groups, not both",
        ),
        (
            "x: model.groups=[[a]]",
            "--arm x: model.groups=[[a]]: a study finds the groups itself; write groups=2 for two networks",
        ),
    ],
)
def test_what_is_no_grouping_is_refused(text: str, said: str) -> None:
    with pytest.raises(PolytaskError) as refused:
        read_arm_text(text, set())
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("arms", "tasks", "share", "steps", "said"),
    [
        ((GROUPS,), THREE, 0.05, None, "add --sharing hard"),
        ((HARD, GROUPS), THREE[:2], 0.05, None, "2 tasks in 2 networks leave nothing to group"),
        ((HARD, GROUPS), tuple("abcdefghijklm"), 0.05, None, "choose at most 12 with --tasks"),
        ((HARD, GROUPS), THREE, 0.0, None, "do not measure affinities"),
        ((HARD, GROUPS), THREE, 0.05, 60, "measured from step 61 on (for 5 % of the time), and a run has 60"),
    ],
)
def test_groups_that_cannot_be_found_are_refused_before_anything_runs(
    arms: tuple[Arm, ...], tasks: tuple[str, ...], share: float, steps: int | None, said: str
) -> None:
    with pytest.raises(PolytaskError) as refused:
        refuse_impossible_groups(arms, tasks, share, steps)
    assert str(refused.value).startswith("--arm groups: ")
    assert said in str(refused.value)
    refuse_impossible_groups((HARD,), tasks, share, steps)
    refuse_impossible_groups((HARD, GROUPS), THREE, 0.05, 61)


def test_the_groups_are_those_of_the_run_on_the_same_fold_with_the_same_seed(work: Path) -> None:
    spec = make_spec(work)
    assert spec.measured_by == f"{DESIGN.name}.hard-fold0-seed0"
    first = {"lesion grade": 0.3, "grade lesion": 0.1, "os grade": -0.2, "grade os": 0.0, "lesion os": -0.1}
    folder = write_measuring_run(work, spec, first, {"lesion grade": 0.1, "other grade": 5.0})
    affinity, looks = read_mean_affinity(folder, list(THREE))
    assert looks == 2
    assert affinity[0, 1] == pytest.approx(0.2), (
        "the mean over looks; a step on the first, the loss of the second"
    )
    assert affinity[1, 0] == pytest.approx(0.1)
    request = make_grouped_request(work, spec)
    assert request.overrides[-1] == 'model.groups=[["lesion", "grade"], ["os"]]'
    assert make_grouped_request(work, replace(spec, groups=0)) == spec.make_run_request()


def test_a_chain_stays_in_one_network(work: Path) -> None:
    spec = replace(make_spec(work), overrides=("model.after.os=[grade]",))
    write_measuring_run(work, spec, {"lesion grade": 0.3, "grade lesion": 0.3, "os grade": -0.2})
    assert make_grouped_request(work, spec).overrides[-1] == 'model.groups=[["lesion"], ["grade", "os"]]'


def test_without_measured_affinities_the_run_fails_in_one_line(work: Path) -> None:
    spec = make_spec(work)
    with pytest.raises(PolytaskError, match="this run is not finished"):
        make_grouped_request(work, spec)
    folder = write_measuring_run(work, spec)
    with pytest.raises(PolytaskError, match=r"no affinities were measured in .* steps; train longer"):
        make_grouped_request(work, spec)
    (folder / STUDY_RECORD_FILE).write_text("{}")
    with pytest.raises(PolytaskError, match="this run is not finished"):
        make_grouped_request(work, spec)


def test_a_run_waits_for_another_commands_measurement(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    stop = StopRequest.of_this_process(tmp_path)
    assert wait_for_measurement(spec, stop)
    with hold_lock(replace(spec, name=spec.measured_by).active, "works on it"):
        Path(stop.stop).touch()
        assert not wait_for_measurement(spec, stop), "a stop ends the waiting"
        assert wait_for_measurement(replace(spec, measured_by=""), stop)


def test_networks_of_groups() -> None:
    groups = [["c", "a"], ["b"]]
    assert assign_networks(["a", "b", "c"], "hard", {}, groups) == {"a+c": ["a", "c"], "b": ["b"]}
    assert assign_networks(["a", "c"], "hard", {}, groups) == {"a+c": ["a", "c"]}, (
        "a fold that cannot train b"
    )
    with pytest.raises(PolytaskError, match=r"model\.groups: 'd' is in no group; add it"):
        assign_networks(["a", "b", "d"], "hard", {}, groups)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[[lesion, grade], [grade]]", "'grade' is in two groups"),
        ("[[lesion], [], [grade]]", "a group has no task"),
        ("[[lesion], [grad]]", "'grad' is not a task; did you mean 'grade'?"),
    ],
)
def test_groups_by_hand_are_checked(value: str, said: str, prepared_once: Path) -> None:
    refused = polytask("train", prepared_once / "work", "--set", f"model.groups={value}", "--name", "x")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert said in refused.err


@pytest.mark.slow
def test_the_recommended_groups_are_trained_and_judged(work: Path) -> None:
    """The whole way through the command line; then one more seed, whose groups come from its own run."""
    study = work / "studies" / "g"
    matrix = ("--folds", 1, "--seeds", 1, "--steps", 6, "--resamples", 20, "--device", "cpu")
    given = ("--set", "training.balance.affinity=0.75")
    ended = polytask("study", work, *matrix, *given, "--arm", "groups", "-o", study, "--jobs", 2)
    assert ended.code == 0, ended.err
    again = polytask("study", study, "--seeds", 2)
    assert again.code == 0, again.err
    runs = {run.name: run for run in Study.read(study).runs}
    assert {run.state for run in runs.values()} == {"done"}
    for seed in (0, 1):
        plan = (work / "runs" / f"g.groups-fold0-seed{seed}" / "plan.yaml").read_text()
        assert "groups: null" not in plan
        costs = runs[f"g.groups-fold0-seed{seed}"].record["costs"]
        assert (costs["networks"], costs["steps"]) == (2, 6)
    conclusions = json.loads((study / "conclusions.json").read_text())
    assert {c["arm"] for c in conclusions["comparisons"]} == {"hard", "groups"}
    lookahead = conclusions["lookahead"]
    assert (lookahead["arm"], lookahead["runs"]) == ("hard", 2)
    assert lookahead["looks"] >= 2
    trained = lookahead["trained"]["groups"]
    assert sum(each["runs"] for each in trained) == 2
    for each in trained:
        assert sorted(task for group in each["groups"] for task in group) == sorted(THREE)
    assert "One step ahead" in (study / "report.html").read_text()
