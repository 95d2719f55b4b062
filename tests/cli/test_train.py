"""`polytask train`: progress in a log."""

from __future__ import annotations

import pytest

from polytask.cli import train


def test_a_log_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(train, "monotonic", lambda: now)
    with train.Bar() as bar:
        bar.begin("hard", 0, 900)
        for step in range(1, 80):
            now += 1.0
            bar.step(step, {"lesion": 0.5, "grade": 1.5})
    said = capsys.readouterr().err.splitlines()
    assert said == ["hard: step 0 of 900", *(f"hard: step {k} of 900, loss 1.000" for k in (30, 60))]
