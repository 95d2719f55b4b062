from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polytask.errors import PolytaskError
from polytask.report import run_report


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []
    monkeypatch.setattr(run_report, "evaluate", lambda *a, **k: calls.append(a))
    return calls


def test_an_evaluated_run_is_not_evaluated_again(
    run: Path, asked: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        run_report, "render_run_page", lambda material: f"<!doctype html>{material.evaluation.run}"
    )
    path, material = run_report.make_report(run)
    assert path == run / "report.html"
    assert path.read_text().startswith("<!doctype html>")
    assert asked == []
    assert material.evaluation.run == "hard"
    assert run_report.make_report(run, out=tmp_path / "new" / "page.html")[0].exists()
    assert not list(run.glob("*.part"))


def test_a_run_is_evaluated_when_that_is_missing_or_of_other_weights(run: Path, asked: list[Any]) -> None:
    (run / "best" / "model.sha256").write_text("other\n")
    with pytest.raises(PolytaskError, match="evaluated before the weights changed"):
        run_report.make_report(run)
    (run / "evaluation.json").unlink()
    with pytest.raises(PolytaskError, match="not evaluated on held_out"):
        run_report.make_report(run)
    assert asked == [(run, "held_out")] * 2


def test_a_report_never_touches_the_test_part(run: Path, asked: list[Any]) -> None:
    with pytest.raises(PolytaskError, match="a report never does that"):
        run_report.make_report(run, part="test")
    assert asked == []


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match="not a run"):
        run_report.make_report(tmp_path)
