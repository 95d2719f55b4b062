"""`training.compile`: the same training within rounding, with the same names, and only where gradients are taken."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_value
from polytask.training import compiled_network
from polytask.training.compiled_network import COMPILED_PARTS, CompiledForward, require_compiler
from polytask.training.interrupt import TrainingInterrupted
from polytask.training.loop import agree_on_stop
from polytask.training.rehearsal import load_rehearsal
from polytask.training.run import train
from polytask.training.run_plan import plan_hash

COMPILED = "training.compile=true"
CPU = torch.device("cpu")


def read_weights(work: Path, name: str) -> dict[str, torch.Tensor]:
    return load_file(work / "runs" / name / "last" / "model.safetensors")


def test_gradients_of_compiled_parts_are_those_of_plain_ones(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of two forms, with tasks that are missing in some, and an evaluation between them."""
    monkeypatch.setattr(compiled_network, "COMPILE_BACKEND", "eager")
    plain, compiled = (load_rehearsal(work, changes=changes, device="cpu") for changes in ([], [COMPILED]))
    parts = [m for m in compiled.state.network.modules() if isinstance(m, COMPILED_PARTS)]
    assert len(parts) >= 3
    assert all(isinstance(part.forward, CompiledForward) for part in parts)
    names = [list(rehearsal.state.network.state_dict()) for rehearsal in (plain, compiled)]
    assert names[0] == names[1]
    first, second = plain.batches(2)
    for batch in (first, second):
        results = []
        for rehearsal in (plain, compiled):
            torch.manual_seed(0)
            results.append(rehearsal.step(batch))
            rehearsal.state.network.eval()
        assert results[0].losses == pytest.approx(results[1].losses, rel=1e-4)
        assert results[0].norm == pytest.approx(results[1].norm, rel=1e-3)
    for one, other in zip(plain.state.network.parameters(), compiled.state.network.parameters(), strict=True):
        # The rate is 1e-6, and a step of AdamW has the size of the rate whatever the gradient.
        torch.testing.assert_close(one, other, rtol=1e-5, atol=2e-6)


def test_parts_run_compiled_only_where_gradients_are_taken() -> None:
    part, calls = nn.Identity(), []

    def note(name: str) -> Any:
        return lambda x: calls.append(name) or x

    forward = CompiledForward(part, note("plain"), note("compiled"))
    part.train()
    forward(1)
    with torch.no_grad():
        forward(1)
    part.eval()
    forward(1)
    assert calls == ["compiled", "plain", "plain"]


def test_only_a_compiled_run_has_another_hash(work: Path) -> None:
    plan = Plan.read(work)
    without = plan.model_dump(mode="json")["shared"]["training"]
    assert without["compile"] is False
    assert plan_hash(plan, 0) == plan_hash(set_value(plan, "training.compile=false"), 0)
    assert plan_hash(plan, 0) != plan_hash(set_value(plan, COMPILED), 0)


def test_without_a_compiler_one_line_says_what_is_needed(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no g++\nwas found")

    monkeypatch.setattr(compiled_network, "COMPILE_BACKEND", fail)
    with pytest.raises(
        PolytaskError, match=r"^training\.compile: .* does not work on cpu here .*a C\+\+ compiler"
    ) as told:
        train(work, name="a", steps=1, overrides=[COMPILED])
    assert "\n" not in str(told.value)
    assert not (work / "runs" / "a").exists()
    monkeypatch.setattr(compiled_network, "COMPILE_BACKEND", "eager")
    require_compiler(CPU)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="needs a C++ compiler")
def test_a_compiled_training_equals_a_plain_one_and_resumes_to_the_same_bits(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real compiler: weights after 4 steps, and a run that is stopped after 2 and goes on."""
    few: dict[str, Any] = {"tasks": ["lesion", "grade"], "steps": 4}
    changes = ["model.dropout=0", "images.scan.widths=[8,16]", "images.scan.blocks=[1,1]"]
    changes.append("images.scan.strides=[[1,1],[2,2]]")
    train(work, name="plain", overrides=changes, **few)
    train(work, name="whole", overrides=[*changes, COMPILED], **few)
    plain, whole = read_weights(work, "plain"), read_weights(work, "whole")
    for key, value in plain.items():
        torch.testing.assert_close(whole[key], value, rtol=1e-2, atol=1e-3, msg=lambda m, k=key: f"{k}: {m}")
    stops = iter([0, 2])
    monkeypatch.setattr("polytask.training.loop.agree_on_stop", lambda *of: next(stops))
    with pytest.raises(TrainingInterrupted):
        train(work, name="cut", overrides=[*changes, COMPILED], **few)
    monkeypatch.setattr("polytask.training.loop.agree_on_stop", agree_on_stop)
    torch._dynamo.reset()
    train(work, resume="cut")
    cut = read_weights(work, "cut")
    assert all(torch.equal(value, cut[key]) for key, value in whole.items())
