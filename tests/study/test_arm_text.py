"""Arms with values of their own, as a user writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytask.errors import PolytaskError
from polytask.study.arm_text import ArmText, read_arm_text, split_values
from polytask.study.arms import Arm, make_named_arm, refuse_other_definition
from polytask.study.study_request import StudyRequest
from polytask.study.workspace import Workspace


def test_a_text_names_an_arm_and_its_values() -> None:
    text = "slim : preset = ctan, model.form=light,training.rate=1e-3, images.scan.widths=[4, 8]"
    assert read_arm_text(text, {"ctan"}) == ArmText(
        "slim", "ctan", "", "", ("model.form=light", "training.rate=1e-3", "images.scan.widths=[4, 8]")
    )
    assert read_arm_text("b: sharing=hard, balance=famo", ()) == ArmText("b", "", "hard", "famo")
    assert list(split_values("a=[1,2],b={x: 1, y: 2},c=3")) == ["a=[1,2]", "b={x: 1, y: 2}", "c=3"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("preset=ctan", 'expected "NAME: preset=ctan, model.form=light"'),
        ("A:", 'expected "NAME:'),
        ("a b: preset=ctan", "'a b' cannot name an arm"),
        ("../x: preset=ctan", "cannot name an arm"),
        ("ctan: model.form=light", "ctan is the name of a sharing block or a preset"),
        ("single: model.form=light", "single is the name of"),
        ("A: model.form", "'model.form': expected key=value"),
        ("A: presett=ctan", "presett=ctan: did you mean 'preset'?"),
        ("A: preset=ctan, preset=mtan", "preset is given twice"),
        ("A: model.form=light, model.form=paper", "model.form is given twice"),
        ("A: preset=ctan, sharing=hard", "give preset or sharing, not both"),
        ("A: preset=ctnn", "preset=ctnn: did you mean 'ctan"),
        ("A: sharing=hrad", "sharing=hrad: did you mean 'hard'"),
        ("A: balance=eqaul", "balance=eqaul: did you mean 'equal'"),
        ("A: model.sharing=hard", "write it as sharing=…"),
        ("A: shared.model.preset=ctan", "write it as preset=…"),
        ("A: training.balance.rule=famo", "write it as balance=…"),
        ("A: steps=5", "a study has the same steps for all arms; use --steps"),
        ("A: minutes=5", "use --minutes-per-run"),
        ("A: seeds=5", "use --seeds"),
        ("A: folds=5", "use --folds"),
        ("A: training.epochs=5", "a study fixes it for all arms; use --steps"),
        ("A: training.patience=5", "a study fixes it for all arms"),
        ("A: training.batch=5", "use --set"),
        ("A: training.threads=5", "use --jobs"),
        ("A: training.balance.cut=features", "use --cut"),
        ("A: images.scan.spacing=[1,1]", "all arms of a study read the same prepared data"),
        ("A: images.scan.view=[8,8]", "the same prepared data"),
        ("A: folds.0.normalization.scan=x", "the same prepared data"),
        ("A: max_visits=1", "the same prepared data"),
    ],
)
def test_what_cannot_be_an_arm_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(PolytaskError) as error:
        StudyRequest(arms=(text,)).refuse_invalid_values()
    assert said in str(error.value)
    assert str(error.value).startswith("--arm ")
    assert "\n" not in str(error.value)


def test_two_arms_need_two_names() -> None:
    with pytest.raises(PolytaskError, match="--arm A: two arms have this name"):
        StudyRequest(arms=("A: sharing=hard", "A: sharing=mtan")).refuse_invalid_values()


def test_an_arm_plans_its_own_values(prepared_once: Path) -> None:
    ground = Workspace.read(prepared_once / "work")
    header = ground.header(None)

    def make(text: str) -> Arm:
        return make_named_arm(read_arm_text(text, ()), ground.plan, header)

    slim = make("slim: preset=ctan, model.form=light, training.rate=0.5")
    assert slim == Arm("slim", "ctan", "equal", "ctan", "light", ("model.form=light", "training.rate=0.5"))
    plan = slim.plan(ground.plan, header, ["training.rate=0.1", "training.patience=0"]).shared
    assert (plan.model.preset, plan.model.form, plan.training.rate) == ("ctan", "light", 0.5)
    assert slim.describe() == "preset=ctan, model.form=light, training.rate=0.5"
    famo = make("b: sharing=mtan_light, balance=famo")
    assert (famo.sharing, famo.form, famo.balance) == ("mtan", "light", "famo")
    assert famo.describe() == "sharing=mtan_light, balance=famo"
    assert make("c: training.rate=0.5").sharing == "hard"
    assert (
        make("d: preset=mtan, model.decoder=private").plan(ground.plan, header, ()).shared.model.decoder
        == "private"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A: model.fom=light", "--arm A: model.fom=light: 'fom' is not in shared.model; did you mean 'form'"),
        ("A: model.form=heavy", "--arm A: "),
        ("A: modell.form=light", "did you mean 'model'"),
        ("A: preset=rpnet", "visits"),
    ],
)
def test_a_value_that_the_plan_does_not_have_is_refused(text: str, said: str, prepared_once: Path) -> None:
    ground = Workspace.read(prepared_once / "work")
    with pytest.raises(PolytaskError) as error:
        make_named_arm(read_arm_text(text, ()), ground.plan, ground.header(None))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_name_keeps_its_meaning_in_a_study(tmp_path: Path) -> None:
    stored = (Arm("A", "ctan", "equal", "ctan", "light", ("model.form=light",)),)
    refuse_other_definition(stored[0], stored, tmp_path)
    with pytest.raises(
        PolytaskError, match=r"the study has this arm as preset=ctan, model\.form=light; choose"
    ):
        refuse_other_definition(Arm("A", "hard"), stored, tmp_path)
