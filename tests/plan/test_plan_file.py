"""`plan.yaml`: read back as written, pleasant to look at, and every slip of an editor caught."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.plan import plan_file
from polytask.plan.plan_file import ensure_cohort, render_plan, write_plan
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_value
from tests.plan.worlds import cohort_of, graded, header


@pytest.fixture
def work(phantom_plan: Plan, tmp_path: Path) -> Path:
    """A work folder with a plan."""
    write_plan(phantom_plan, tmp_path)
    return tmp_path


def test_round_trip(work: Path, phantom_plan: Plan, phantom_folder: Path) -> None:
    found = Plan.read(work)
    assert found.model_copy(update={"cohort": phantom_plan.cohort}) == phantom_plan
    assert Plan.read(work) == Plan.read(work / "plan.yaml") == found
    assert not Path(found.cohort).is_absolute()
    assert (work / found.cohort).resolve() == phantom_folder.resolve()


def test_the_file_is_pleasant_to_read(work: Path) -> None:
    text = (work / "plan.yaml").read_text()
    assert text.startswith("# The plan: every number")
    assert "spacing: [" in text
    assert "strides: [[1, 1, 1]," in text
    assert "crop: {rule:" in text
    assert "&" not in text.replace("'&'", ""), "no aliases"
    assert "!!" not in text
    assert max(len(line) for line in text.splitlines()) <= 125
    parsed = yaml.safe_load(text)
    assert list(parsed) == ["polytask", "cohort", "digest", "seed", "shared", "folds"]
    assert list(parsed["folds"]) == [0, 1, 2]


def edited(work: Path, change: Callable[[str], str]) -> Path:
    """The plan's text after somebody's edit."""
    path = work / "plan.yaml"
    before = path.read_text()
    after = change(before)
    assert after != before
    path.write_text(after)
    return work


def replaced(old: str, new: str) -> Callable[[str], str]:
    """Replace the first."""
    return lambda text: text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("epochs:", "epoch:", r"shared\.training\.\w+.*(epoch|missing)"),
        (
            "    warmup:",
            "    warm_up: 3\n    warmup:",
            r"training\.warm_up: unknown name, did you mean 'warmup'",
        ),
        (
            "batch: ",
            "batch: four #",
            r"shared\.training\.batch: 'four' is not valid, input should be a valid integer",
        ),
        ("field: whole", "field: hole", r"shared\.images\.scan\.field: 'hole' is not valid"),
        (
            "kind: survival",
            "kind: survivel",
            r"folds\.0\.tasks\.os\.kind: 'survivel' is not a kind of task, did you mean",
        ),
        ("tolerance:", "tolerence:", r"folds\.0\.tasks\.\w+\.\w+"),
        ("loss: cox", "loss: coks", r"folds\.0\.tasks\.os\.loss: 'coks'"),
        ("seed: 0", "seed: 0\nseed: 1", r"plan\.yaml, line \d+: not YAML \('seed' is written twice\)"),
        ("shared:", "shared: [", r"plan\.yaml, line \d+: not YAML"),
    ],
)
def test_a_slip_is_one_line_with_its_place(work: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(PolytaskError, match=said) as caught:
        Plan.read(edited(work, replaced(old, new)))
    assert "\n" not in str(caught.value)
    assert str(work) in str(caught.value)


def test_an_edit_is_taken(work: Path) -> None:
    assert Plan.read(
        edited(work, replaced("rate: 0.001", "rate: 3e-4"))
    ).shared.training.rate == pytest.approx(3e-4)


@pytest.mark.parametrize("levels", [[], [2, 3], [1, 1], [0, 1]])
def test_the_levels_at_which_visits_are_joined_have_the_deepest_among_them(
    phantom_plan: Plan, levels: list[int]
) -> None:
    assert set_value(phantom_plan, "model.visit_levels=[1, 3]").shared.model.visit_levels == (1, 3)
    with pytest.raises(
        PolytaskError, match=r"visit_levels: .* from 1, the deepest level, with 1 among them$"
    ):
        set_value(phantom_plan, f"model.visit_levels={levels}")


def test_no_plan_and_no_yaml(tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match="no plan; run `polytask plan"):
        Plan.read(tmp_path)
    (tmp_path / "plan.yaml").write_text("just words")
    with pytest.raises(PolytaskError, match="not a plan"):
        Plan.read(tmp_path)
    (tmp_path / "plan.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PolytaskError, match="not UTF-8 text"):
        Plan.read(tmp_path)
    (tmp_path / "plan.yaml").write_text("!!python/object/apply:os.getcwd []")
    with pytest.raises(PolytaskError, match="not YAML"):
        Plan.read(tmp_path)


def test_a_folder_that_cannot_be_written(phantom_plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match="cannot be written"):
        write_plan(phantom_plan, tmp_path / "missing")


def test_yes_and_no_stay_words(phantom_plan: Plan, tmp_path: Path) -> None:
    assert yaml.safe_load(render_plan(phantom_plan, tmp_path))["folds"][0]["tasks"]["response"][
        "classes"
    ] == [
        "no",
        "yes",
    ]


def test_a_plan_of_another_cohort(phantom: Cohort, phantom_plan: Plan) -> None:
    ensure_cohort(phantom_plan, phantom)
    with pytest.raises(PolytaskError, match="belongs to another cohort, or header or table changed"):
        ensure_cohort(phantom_plan, cohort_of(header(), graded(12)))


def test_the_quick_writer_writes_what_the_plain_one_writes(
    phantom_plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where PyYAML comes without its part in C, plans have the same text."""
    quick = render_plan(phantom_plan, tmp_path)

    class PlainDumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    PlainDumper.add_representer(list, plan_file._represent_list)
    PlainDumper.add_representer(dict, plan_file._represent_mapping)
    monkeypatch.setattr(plan_file, "_PlanDumper", PlainDumper)
    assert render_plan(phantom_plan, tmp_path) == quick
