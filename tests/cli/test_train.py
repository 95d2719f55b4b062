"""`polytask train`: progress in a log."""

from __future__ import annotations

import pytest

from polytask.cli import train
from polytask.errors import PolytaskError
from polytask.plan.old_names import warn_of_old_name


def test_a_log_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(train, "monotonic", lambda: now)
    with train.TrainingBar() as bar:
        bar.begin("hard", 0, 900)
        for step in range(1, 80):
            now += 1.0
            bar.step(step, {"lesion": 0.5, "grade": 1.5})
    said = capsys.readouterr().err.splitlines()
    assert said == ["hard: step 0 of 900", *(f"hard: step {k} of 900, loss 1.000" for k in (30, 60))]


def test_a_former_option_counts_as_the_present_one(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_old_name.cache_clear()
    choose = train._choose_option
    assert choose("--visit-fusion", "mean", "--time", None) == "mean"
    assert choose("--visit-fusion", None, "--time", None) is None
    assert not caplog.records
    assert choose("--visit-fusion", None, "--time", "mean") == "mean"
    assert [r.getMessage() for r in caplog.records] == [
        "polytask train: --time is now called --visit-fusion; the old name is still read"
    ]
    with pytest.raises(PolytaskError, match="leave --time out"):
        choose("--visit-fusion", "mean", "--time", "mean")
