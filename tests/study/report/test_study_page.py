from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from polytask.report.run_page import RESEARCH_NOTICE
from polytask.statistics.effect import ONE_SEED_NOTE
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.report.study_page import render_study_page
from tests.study.report.markup import Markup
from tests.study.report.worlds import DOSE

Make = Callable[..., Conclusions]
SECTIONS = ["effects", "tasks", "delta-m", "costs", "together", "training", "sites", "repeat"]


@pytest.fixture(scope="module")
def text(full: Conclusions) -> str:
    return render_study_page(full)


@pytest.fixture(scope="module")
def whole(text: str) -> Markup:
    return sound(text)


def sound(text: str) -> Markup:
    """What holds of every page, whatever the study."""
    found = Markup(text)
    assert found.mismatches == []
    tags = {tag for tag, _ in found.elements}
    assert not tags & {"script", "link", "iframe", "object", "svg", "b", "i"}
    assert all(
        str(img["src"]).startswith("data:image/svg+xml;base64,") and img["alt"] for img in found.all("img")
    )
    assert all(str(s["srcset"]).startswith("data:image/svg+xml;base64,") for s in found.all("source"))
    ids = {a["id"] for _, a in found.elements if "id" in a}
    assert {f"#{i}" for i in ids} >= {a["href"] for a in found.all("a")}
    assert len(found.all("h1")) == 1
    assert found.text.count(RESEARCH_NOTICE) == 2
    assert "http" not in text.replace("http-equiv", "")
    assert "default-src 'none'" in text
    assert '"Segoe UI"' in text, "quotes of the style stay quotes"
    assert "nan" not in found.text.lower().split()
    return found


def test_every_section_stands_in_its_place(whole: Markup) -> None:
    assert [a["id"] for a in whole.all("section")] == SECTIONS
    assert len(whole.all("img")) == 4 + 3, "a forest a task, scatter, matrices, curves"
    assert len(whole.all("source")) == len(whole.all("img")), "each drawn again for a narrow screen"


@pytest.mark.usefixtures("blank_pictures")
def test_tasks_are_written_by_the_titles_of_the_header(study: Make) -> None:
    """In headings, tables and pictures; the sentence, which the terminal prints too, has the names of the header."""
    conclusions = study(titles={"os": "Overall survival"})
    found = sound(render_study_page(conclusions))
    told = found.text.replace(conclusions.sentence, "")
    assert "Overall survival survival, per subject" in told
    pictures = [a["alt"] for a in found.all("img")]
    assert any("single networks on Overall survival" in str(alt) for alt in pictures)
    assert not any("single networks on os" in str(alt) for alt in pictures)
    assert re.search(r"\bos: C", told) is None


def test_nothing_is_wider_than_a_telephone(whole: Markup) -> None:
    """Drawings for narrow screens are at most 388 pixels at their own size, and tables become cards with heads."""
    for source in whole.all("source"):
        drawn = base64.b64decode(str(source["srcset"]).partition(",")[2]).decode()
        points = re.search(r'<svg [^>]*?width="([\d.]+)pt"', drawn)
        assert points is not None
        assert float(points[1]) / 72 * 96 < 400
    cells = whole.all("td")
    assert cells
    assert all("data-head" in cell for cell in cells)


def test_the_sentence_stands_first_and_whole(full: Conclusions, whole: Markup) -> None:
    text = whole.text
    assert (
        text.index(RESEARCH_NOTICE)
        < text.index("Study demo")
        < text.index(full.sentence)
        < text.index("The tune part prefers hard")
    )
    assert "Held-out subjects never choose an arm." in text


def test_what_is_compared_is_told_in_full(whole: Markup) -> None:
    text = whole.text
    for words in (
        "Points are hundredths",
        "they do not decide the verdict",
        "Δm = mean over tasks",
        "Wilcoxon",
        "would have shown ≥",
        "its single network does not clearly beat chance",
        "Left out: dose (in Gy)",
        "Suggested groups:",
        "only the effects above can show that",
        "polytask study work --sharing hard,ctan",
        "aaaaaaaaaaaaaaaa",
        "results.parquet",
        "duckdb -c",
        "pandas.read_parquet",
    ):
        assert words in text, words


@pytest.mark.usefixtures("blank_pictures")
def test_one_seed_and_one_fold(study: Make) -> None:
    found = sound(render_study_page(study(seeds=(0,), folds=(0,), sites=())))
    assert ONE_SEED_NOTE in found.text
    assert "1 fold × 1 seed" in found.text
    assert "sites" not in [a["id"] for a in found.all("section")]


def test_nothing_is_defined(study: Make) -> None:
    found = sound(render_study_page(study(undefined=("lesion", "grade", "dose", "os"))))
    assert "no judgment is possible on lesion, grade, dose, os" in found.text
    assert "Gain cannot be drawn against cost" in found.text
    assert (
        "hard and single have no fold and seed in common" in found.text or "has no metric there" in found.text
    )


@pytest.mark.usefixtures("blank_pictures")
def test_every_joint_run_failed_and_nothing_was_logged(study: Make) -> None:
    found = sound(render_study_page(study(failed=("hard",), silent=True)))
    assert "No joint arm has a finished run" in found.text
    assert "hard: all runs failed (out of memory)" in found.text
    assert found.text.count("out of memory") >= 5, "every failed run with its reason"
    assert "Not visible" in found.text
    assert "The logs of the runs are missing" in found.text
    assert [a["id"] for a in found.all("section")] == [
        "effects",
        "costs",
        "together",
        "training",
        "sites",
        "repeat",
    ]


def test_single_failed_so_that_nothing_has_a_price(study: Make) -> None:
    found = sound(render_study_page(study(failed=("single",), silent=True)))
    assert "not defined" in found.text


def test_names_are_text_and_nothing_else(study: Make) -> None:
    arms = ("single", "<b>hard</b>", "$x_5$", "a" * 60)
    tasks = {"<i>dose</i>": DOSE, "$5 " + "long " * 20: DOSE}
    made = study(arms=arms, tasks=tasks, gains={}, sites=("<script>x</script>", "$5"), name="<b>$5 & co</b>")
    found = sound(render_study_page(replace(made, notes=("<script>alert(1)</script>",))))
    for name in (*arms, *tasks, "<script>x</script>", "<b>$5 & co</b>", "<script>alert(1)</script>"):
        assert " ".join(name.split()) in found.text, name


@pytest.mark.usefixtures("blank_pictures")
def test_no_task_in_points(study: Make) -> None:
    found = sound(render_study_page(study(tasks={"dose": DOSE}, gains={("hard", "dose"): 0.5})))
    assert "Left out: dose (in Gy)" in found.text
    assert "difference in Gy" in found.text
    assert "Not visible" in found.text, "one task has no pair"
