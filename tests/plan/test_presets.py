"""Presets: each file is read, meets the phantom's tasks, and says what a cohort lacks for it."""

from __future__ import annotations

import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan
from polytask.plan.presets import PRESETS, apply_preset, build_task_chain, find_finding, list_unmet_needs
from polytask.registries import list_members
from polytask.training.run_plan import plan_hash
from tests.plan.worlds import header

TABLES_ONLY = """
polytask: 1
name: tables
inputs:
  clinic: {kind: table, columns: {age: {type: number}}}
tasks:
  os: {kind: survival, unit: days}
"""


def test_the_presets_of_the_literature_are_there() -> None:
    named = {"single", "parallel", "interacted", "cascaded", "hybrid", "rpnet", "mmdls"}
    members = {"nddr", "mmoe", "ple", "task_film", "padnet"}
    assert named | members | {
        "ctan",
        "mtan",
        "cross_stitch",
        "mtmedformer",
        "ctan_light",
        "mtan_light",
    } <= set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_meets_the_phantom(name: str, phantom: Cohort, phantom_plan: Plan) -> None:
    plan = apply_preset(phantom_plan, name, phantom.header)
    model, preset = plan.shared.model, PRESETS[name]
    assert model.preset == name
    for key, value in preset.model.items():
        assert getattr(model, key) == (tuple(value) if isinstance(value, list) else value)
        assert plan.shared.why[f"model.{key}"].startswith(f"preset {name}")
    assert bool(model.after) == bool(preset.after)
    assert bool(plan.shared.training.weights) == bool(preset.weights or preset.visit_weights)


def test_a_name_of_a_paper_is_its_published_form(phantom: Cohort, phantom_plan: Plan) -> None:
    def choose(name: str) -> tuple[str, str, str]:
        model = apply_preset(phantom_plan, name, phantom.header).shared.model
        return model.sharing, model.form, model.decoder

    assert choose("mtan")[:2] == ("mtan", "paper")
    assert choose("mtan")[2] != "private", "the decoder has attention too"
    assert choose("ctan") == ("ctan", "paper", "private")
    assert choose("mtan_light") == ("mtan", "light", "private")
    assert choose("ctan_light") == ("ctan", "light", "private")
    assert choose("hybrid") == ("ctan", "light", "private"), "what it computed before"


def test_the_interacted_family_is_not_one_of_its_later_members(phantom: Cohort, phantom_plan: Plan) -> None:
    """Units between encoders of the tasks; a plan that was stored when it was `ctan` in its light form stays that."""
    model = apply_preset(phantom_plan, "interacted", phantom.header).shared.model
    assert (model.sharing, model.decoder, model.after) == ("cross_stitch", "private", {})
    content = phantom_plan.model_dump(mode="json")
    content["shared"]["model"] |= {"preset": "interacted", "sharing": "ctan", "form": "light"}
    stored = Plan.model_validate(content).shared.model
    assert (stored.preset, stored.sharing, stored.form) == ("interacted", "ctan", "light")


def test_a_stored_plan_keeps_its_form(phantom_plan: Plan) -> None:
    """Also one that names a preset of a version in which the name meant the light form, or names no form at all."""
    content = phantom_plan.model_dump(mode="json")
    content["shared"]["model"] |= {"preset": "mtan", "sharing": "mtan"}
    assert Plan.model_validate(content).shared.model.form == "light"
    del content["shared"]["model"]["form"], content["shared"]["model"]["decoder"]
    model = Plan.model_validate(content).shared.model
    assert (model.form, model.decoder) == ("light", "private")


def test_a_stored_mtmedformer_keeps_its_convolutional_encoder(phantom_plan: Plan) -> None:
    """Before it had an encoder of transformers, the preset was what `task_tokens` is now."""
    content = phantom_plan.model_dump(mode="json")
    content["shared"]["model"] |= {"preset": "mtmedformer", "sharing": "task_tokens"}
    del content["shared"]["model"]["encoder"]
    stored = Plan.model_validate(content)
    assert stored.shared.model.encoder is None
    with_key = Plan.model_validate(phantom_plan.model_dump(mode="json"))
    with_key.shared.model = stored.shared.model.model_copy(update={"encoder": None})
    assert plan_hash(stored, 0) == plan_hash(with_key, 0)
    with_key.shared.model.encoder = "swin"
    assert plan_hash(stored, 0) != plan_hash(with_key, 0)


def test_the_encoder_of_mtmedformer_is_of_transformers(phantom: Cohort, phantom_plan: Plan) -> None:
    first = apply_preset(phantom_plan, "mtmedformer", phantom.header)
    assert (first.shared.model.encoder, first.shared.model.sharing) == ("swin", "task_tokens")
    after = apply_preset(first, "task_tokens", phantom.header).shared.model
    assert (after.encoder, after.sharing) == (None, "task_tokens")


@pytest.mark.parametrize("name", PRESETS)
def test_the_line_of_a_preset_says_what_it_is_and_what_was_reconstructed(name: str) -> None:
    preset, line = PRESETS[name], list_members("presets")[name]
    assert line == f"{preset.line} ({preset.source}; reconstructed: {preset.reconstructed})"
    assert "\n" not in line


def test_rpnet_weighs_the_mask_of_each_visit_a_fifth_and_nothing_else(
    phantom: Cohort, phantom_plan: Plan
) -> None:
    """The loss of a mask is the mean over the visits; organs, dose and the answers count once."""
    chosen = apply_preset(phantom_plan, "rpnet", phantom.header).shared
    visits = len(phantom.header.visits or [""])
    assert visits > 1
    assert chosen.training.weights == {"lesion": pytest.approx(0.2 * visits)}
    assert chosen.why["training.weights.lesion"] == (
        f"preset rpnet: 0.2 for each of {visits} visits: its loss is the mean over them"
    )


def test_in_rpnet_what_joins_the_visits_reads_the_change_of_the_finding(
    phantom: Cohort, phantom_plan: Plan
) -> None:
    model = apply_preset(phantom_plan, "rpnet", phantom.header).shared.model
    assert model.after == {
        "response": ["lesion"]
    }  # not the organs of the dose, and not `os`, which reads one visit
    assert model.link == {"response": "logits"}
    assert model.visit_levels == (1, 3)


@pytest.mark.parametrize(
    ("masks", "finding"),
    [
        (["organs", "tumor"], "organs"),
        (["organs", "tumor", "dose"], "tumor"),
        (["organs", "dose"], None),
        ([], None),
    ],
)
def test_the_finding_is_the_first_mask_that_no_dose_is_judged_by(
    masks: list[str], finding: str | None
) -> None:
    specs = {
        "organs": {"kind": "segmentation", "image": "scan", "structures": ["liver"]},
        "tumor": {"kind": "segmentation", "image": "scan", "labels": {"tumor": 1}},
        "dose": {"kind": "dose", "image": "scan", "unit": "Gy", "structures": "organs"},
    }
    tasks = {"age": {"kind": "regression"}} | {name: specs[name] for name in masks}
    assert find_finding(header(tasks=tasks)) == finding


def test_mmdls_has_survival_read_diagnosis_and_stage(phantom: Cohort, phantom_plan: Plan) -> None:
    after = apply_preset(phantom_plan, "mmdls", phantom.header).shared.model.after
    assert set(after) == {"os"}
    assert {"grade", "pattern"} <= set(after["os"])
    assert apply_preset(phantom_plan, "mmdls", phantom.header).shared.model.second_level == "shared"
    assert "response" not in after["os"]  # it reads the second visit, which would tell survival the future


def test_a_preset_takes_the_place_of_the_one_before(phantom: Cohort, phantom_plan: Plan) -> None:
    first = apply_preset(phantom_plan, "cascaded", phantom.header)
    model = apply_preset(first, "mmdls", phantom.header).shared.model
    assert set(model.after) == {"os"}
    assert model.link == {}
    assert model.uncertainty == "none"


def test_chains_leave_out_what_cannot_be() -> None:
    tasks = {
        "mask": {"kind": "segmentation", "image": "scan", "labels": {"a": 1}},
        "grade": {"kind": "ordinal", "order": ["1", "2"]},
        "pcr": {"kind": "classification", "level": "subject", "classes": ["n", "y"]},
        "size": {"kind": "regression"},
    }
    here: Header = header(tasks=tasks)
    assert build_task_chain({"pooled": ["segmentation"]}, here) == {
        "grade": ["mask"],
        "pcr": ["mask"],
        "size": ["mask"],
    }
    found = build_task_chain({"pooled": ["pooled"]}, here)
    assert "pcr" not in found.get("grade", [])  # a visit must not see the whole subject
    assert "size" in found["pcr"], "a number feeds on as classes do"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rpnet", "it needs 2 visits and the cohort has 1: list `visits`"),
        ("mmdls", "it needs 2 inputs and the cohort has 1"),
        ("cascaded", "it needs 2 tasks and the cohort has 1"),
        ("rpnett", "did you mean 'rpnet'"),
    ],
)
def test_what_a_cohort_lacks_is_said(name: str, words: str, phantom_plan: Plan) -> None:
    with pytest.raises(PolytaskError, match=words):
        apply_preset(phantom_plan, name, header(TABLES_ONLY))


def test_a_preset_without_its_chain_is_refused(phantom_plan: Plan) -> None:
    """Two numbers: the preset names masks and classes."""
    two = header(tasks={name: {"kind": "regression"} for name in ("size", "weight")})
    with pytest.raises(
        PolytaskError,
        match="--preset hybrid: its chain needs a visit or subject task and a segmentation task whose answer it may "
        r"read, or .*, and the cohort has size \(regression\), weight \(regression\); it is tasks interact",
    ):
        apply_preset(phantom_plan, "hybrid", two)


def test_a_cascade_without_masks_goes_from_classes_to_survival(phantom_plan: Plan) -> None:
    tasks = {
        "grade": {"kind": "ordinal", "order": ["1", "2"]},
        "pattern": {"kind": "classification", "classes": ["a", "b"]},
        "diameter": {"kind": "regression"},
        "os": {"kind": "survival", "unit": "days"},
    }
    model = apply_preset(phantom_plan, "cascaded", header(tasks=tasks)).shared.model
    assert model.after == {"os": ["grade", "pattern"]}
    assert model.link == {}
    assert model.sharing == "single"
    without = {name: tasks[name] for name in ("grade", "diameter")}
    with pytest.raises(
        PolytaskError, match=r"--preset cascaded: its chain needs .* or a survival task and a "
    ):
        apply_preset(phantom_plan, "cascaded", header(tasks=without))


def test_every_lack_is_a_line() -> None:
    for preset in PRESETS.values():
        assert all(line and "\n" not in line for line in list_unmet_needs(preset.needs, header(TABLES_ONLY)))
