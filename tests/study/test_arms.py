from __future__ import annotations

from pathlib import Path

import pytest

from polytask.errors import PolytaskError
from polytask.study.arms import Arm, keep_arms, list_arms
from polytask.study.study_request import StudyRequest
from polytask.study.workspace import Workspace

KNOWN = ("single", "hard", "mtan", "ctan")


def named(prepared: Path, *given: tuple[str, ...]) -> list[str]:
    ground = Workspace.read(prepared / "work")
    sharing, balance, presets = given
    return [a.name for a in list_arms(sharing, balance, presets, ground.plan, ground.header(None), KNOWN)]


def test_single_is_there_once_and_never_balanced(prepared_once: Path) -> None:
    names = named(prepared_once, ("hard", "single", "ctan"), ("equal", "famo"), ())
    assert names == ["single", "hard", "hard+famo", "ctan", "ctan+famo"]
    assert named(prepared_once, ("hard", "hard"), ("famo", "famo"), ("single",)) == ["single", "hard+famo"]


def test_a_preset_with_the_name_of_a_sharing_is_told_apart(prepared_once: Path) -> None:
    assert named(prepared_once, ("ctan",), ("equal",), ("ctan", "parallel")) == [
        "single",
        "ctan",
        "preset-ctan",
        "parallel",
    ]


def test_a_name_brings_its_form(prepared_once: Path) -> None:
    ground = Workspace.read(prepared_once / "work")
    arms = list_arms(
        ("hard", "mtan", "mtan_light"), ("equal",), ("ctan",), ground.plan, ground.header(None), KNOWN
    )
    assert [(a.name, a.sharing, a.form, a.block) for a in arms] == [
        ("single", "single", "", "single"),
        ("hard", "hard", "", "hard"),
        ("mtan", "mtan", "paper", "mtan"),
        ("mtan_light", "mtan", "light", "mtan_light"),
        ("preset-ctan", "ctan", "paper", "ctan"),
    ]
    forms = [a.plan(ground.plan, ground.header(None), ()).shared.model.form for a in arms]
    assert forms == ["light", "light", "paper", "light", "paper"]
    with pytest.raises(
        PolytaskError, match=r"arm mtan: --set model\.form=light makes it mtan_light with equal"
    ):
        arms[2].plan(ground.plan, ground.header(None), ["model.form=light"])


def test_arms_of_older_studies_stay_what_they_were(prepared_once: Path) -> None:
    """Their names meant the light forms, and they stored no form."""
    ground = Workspace.read(prepared_once / "work")
    older = (Arm("single", "single"), Arm("mtan", "mtan"), Arm("preset-mtan", "mtan", "equal", "mtan"))
    for arm in older[1:]:
        model = arm.plan(ground.plan, ground.header(None), ()).shared.model
        assert (model.sharing, model.form, model.decoder) == ("mtan", "light", "private")
    paper = older[1].plan(ground.plan, ground.header(None), ["model.form=paper"]).shared.model
    assert paper.form == "paper", "what the study set for all arms"
    asked = list_arms(
        ("mtan", "mtan_light"), ("equal", "famo"), ("mtan",), ground.plan, ground.header(None), KNOWN
    )
    kept = {a.name: a.form for a in keep_arms(asked, older)}
    assert kept == {
        "single": "",
        "mtan": "",
        "mtan+famo": "",
        "mtan_light": "light",
        "mtan_light+famo": "light",
        "preset-mtan": "",
        "preset-mtan+famo": "",
    }
    assert keep_arms(asked, ()) == asked


def test_an_older_study_keeps_interacted_as_it_was(prepared_once: Path) -> None:
    """It was the light form of `ctan`, stored with its form or, earlier still, without."""
    ground = Workspace.read(prepared_once / "work")
    asked = list_arms((), ("equal", "famo"), ("interacted",), ground.plan, ground.header(None), KNOWN)
    assert {a.sharing for a in asked if a.preset} == {"cross_stitch"}
    for form in ("light", ""):
        stored = Arm("interacted", "ctan", preset="interacted", form=form)
        kept = {a.name: a for a in keep_arms(asked, (stored,))}
        assert kept["interacted"] == stored
        for name in ("interacted", "interacted+famo"):
            model = kept[name].plan(ground.plan, ground.header(None), ()).shared.model
            assert (model.sharing, model.form, model.preset) == ("ctan", "light", "interacted")


def test_a_preset_brings_its_own_sharing(prepared_once: Path) -> None:
    ground = Workspace.read(prepared_once / "work")
    arms = list_arms((), ("equal",), ("cascaded",), ground.plan, ground.header(None), KNOWN)
    cascaded = arms[-1]
    assert (cascaded.name, cascaded.sharing, cascaded.preset) == ("cascaded", "single", "cascaded")
    assert not cascaded.baseline
    plan = cascaded.plan(ground.plan, ground.header(None), ["training.patience=0"])
    assert plan.shared.model.after
    assert plan.shared.training.patience == 0


def test_a_preset_that_does_not_fit_is_refused_before_anything_runs(prepared_once: Path) -> None:
    with pytest.raises(PolytaskError, match=r"rpnet.*visits"):
        named(prepared_once, (), ("equal",), ("rpnet",))


def test_a_change_that_makes_it_another_arm_is_refused(prepared_once: Path) -> None:
    ground = Workspace.read(prepared_once / "work")
    with pytest.raises(PolytaskError, match="makes it mtan_light with equal, another arm"):
        Arm("hard", "hard").plan(ground.plan, ground.header(None), ["model.sharing=mtan"])
    with pytest.raises(PolytaskError, match=r"'equal' does not use training.weights; remove them"):
        Arm("hard", "hard").plan(ground.plan, ground.header(None), ["training.weights.lesion=0.5"])


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (StudyRequest(sharing=("hrad",)), "--sharing hrad: did you mean 'hard'"),
        (StudyRequest(sharing=("mtan_lihgt",)), "--sharing mtan_lihgt: did you mean"),
        (StudyRequest(balance=("eqaul",)), "--balance eqaul: did you mean 'equal'"),
        (StudyRequest(presets=("mmdsl",)), "--preset mmdsl: did you mean 'mmdls'"),
        (StudyRequest(steps=5, minutes=1.0), "give one of them"),
        (StudyRequest(seeds=0), "--seeds 0: expected 1 or more"),
        (StudyRequest(cut="feature"), "expected features or parameters"),
        (StudyRequest(sharing=()), "--sharing names nothing"),
        (StudyRequest(overrides=("model.sharing=ctan",)), "use --sharing"),
        (StudyRequest(overrides=("shared.training.patience=3",)), "a study decides training.patience itself"),
    ],
)
def test_nonsense_is_refused(wanted: StudyRequest, said: str) -> None:
    with pytest.raises(PolytaskError) as error:
        wanted.refuse_invalid_values()
    assert said in str(error.value)
