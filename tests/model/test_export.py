"""Networks of the presets as ONNX and compiled, against torch itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

import polytask.model
from polytask.errors import PolytaskError
from polytask.model.export import Exportable
from polytask.model.network_inputs import CompleteInputs
from polytask.model.slide_encoder import SlideSpec
from polytask.tasks import make_task
from tests.model.worlds import FIELDS, inputs_of, network_of

PRESETS = Path(polytask.model.__file__).parent / "presets"
CASES = {
    "parallel": list(FIELDS),
    "mtmedformer": ["mask", "grade"],
    "interacted": ["mask", "grade", "response"],
    "rpnet": ["mask", "response"],
    "mmdls": ["grade", "type", "response"],
    "cascaded": ["mask", "type", "dose", "grade"],
}
CHAINS: dict[str, dict[str, Any]] = {
    "rpnet": {"after": {"response": ["mask"]}, "link": {"response": "logits"}},
    "mmdls": {"after": {"response": ["grade", "type"]}},
    "cascaded": {"after": {"grade": ["mask"], "dose": ["type"]}, "link": {"grade": "channel"}},
}
EDGE = 16


def module_of(preset: str, dims: int = 3) -> Exportable:
    """A small network as the preset describes it, two visits."""
    model: dict[str, Any] = yaml.safe_load((PRESETS / f"{preset}.yaml").read_text(encoding="utf-8"))["model"]
    return Exportable(
        network_of(
            {n: make_task(n, FIELDS[n]) for n in CASES[preset]}, dims, **model, **CHAINS.get(preset, {})
        )
    )


def tensors_for(dims: int = 3, subjects: int = 2, seed: int = 0) -> tuple[Tensor, ...]:
    """Images, a table with a cell that is not known, days."""
    given = inputs_of(dims, subjects, seed, EDGE)
    table = given.tables["clinic"].clone()
    table[0, 1, 2] = float("nan")
    return given.whole["scan"], table, given.day


@pytest.mark.parametrize("preset", CASES)
def test_plain_tensors_answer_as_a_batch_does(preset: str) -> None:
    module = module_of(preset, dims=2)
    given = inputs_of(2, size=EDGE)
    given.visit_known[:] = True
    given.channel_known["scan"] = given.visit_known[..., None].expand(-1, -1, 2)
    given.table_known["clinic"] = given.visit_known[..., None].repeat(1, 1, 3)
    given.table_known["clinic"][0, 1, 2] = False
    with torch.inference_mode():
        batch = module.network(given)
        given.tables["clinic"][0, 1, 2] = float("nan")
        answers = module(given.whole["scan"], given.tables["clinic"], given.day)
    assert module.outputs == list(batch)
    for ours, theirs in zip(answers, batch.values(), strict=True):
        torch.testing.assert_close(ours, theirs[0] if isinstance(theirs, list) else theirs)


def test_complete_inputs_know_all_but_nan() -> None:
    table = torch.tensor([[[1.0, float("nan")], [2.0, 3.0]]])
    complete = CompleteInputs({"scan": torch.zeros(1, 2, 1, 4, 4)}, {"clinic": table}, torch.zeros(1, 2))
    assert complete.visit_known.all()
    assert complete.channel_known["scan"].tolist() == [[[True], [True]]]
    assert complete.table_known["clinic"].tolist() == [[[True, False], [True, True]]]


def test_slides_are_refused() -> None:
    slide = SlideSpec(features=4, widths=(), mean=(0.0,), sd=(1.0,))
    network = network_of({"response": make_task("response", FIELDS["response"])}, 2, slides={"biopsy": slide})
    with pytest.raises(PolytaskError, match="slide 'biopsy'"):
        Exportable(network)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::Warning:torch.*", "ignore::Warning:onnxscript.*", "ignore::Warning:copyreg"
)
@pytest.mark.parametrize("preset", CASES)
def test_onnx_answers_as_torch_does(preset: str, tmp_path: Path) -> None:
    """Exported with two subjects, asked about three: the number of subjects is free."""
    import onnxruntime

    module, path = module_of(preset), tmp_path / "model.onnx"
    subjects = torch.export.Dim("subjects", min=1)
    torch.onnx.export(
        module,
        tensors_for(),
        path,
        dynamo=True,
        verbose=False,
        input_names=module.inputs,
        output_names=module.outputs,
        dynamic_shapes=(tuple({0: subjects} for _ in module.inputs),),
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == module.inputs
    for given in (tensors_for(seed=1), tensors_for(subjects=3, seed=2)):
        with torch.inference_mode():
            ours = module(*given)
        feed = {name: tensor.numpy() for name, tensor in zip(module.inputs, given, strict=True)}
        theirs = session.run(module.outputs, feed)
        for name, a, b in zip(module.outputs, ours, theirs, strict=True):
            torch.testing.assert_close(torch.from_numpy(b), a, rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning:torch.*")
def test_a_compiled_network_answers_as_it_is() -> None:
    module = module_of("rpnet", dims=2)
    compiled = torch.compile(module, fullgraph=True)
    with torch.no_grad():
        ours, theirs = module(*tensors_for(2, seed=1)), compiled(*tensors_for(2, seed=1))
    for name, a, b in zip(module.outputs, ours, theirs, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-4, msg=name)
