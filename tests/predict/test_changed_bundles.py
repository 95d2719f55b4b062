"""Changed models: one line or a sound answer; never a traceback, a hang, much memory, or an answer of NaN."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from polytask.errors import PolytaskError
from polytask.predict import Predictor
from polytask.predict.prediction_pipeline import predict_cases
from polytask.predict.seal import SEAL_KEY
from polytask.training.tensor_files import sha256
from tests.journeys.clinic_cohort import train_with_clinic
from tests.predict.mutations import mutations, write_sealed

SECONDS, BYTES = 20, 1 << 30


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of an image and a table, and a table of one new case."""
    folder = train_with_clinic(tmp_path_factory.mktemp("changed"))
    rows = "subject,scan.ct,age,marker,smoker\nn1,files/01.nii.gz,61,0.3,yes\n"
    (folder / "cohort/one.csv").write_text(rows)
    return folder


@pytest.fixture
def model(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "model", tmp_path / "model"))


class HangError(BaseException):
    """Nothing that is tested can take it for an error of its own."""


@contextmanager
def within_limits() -> Iterator[None]:
    """Refuse a hang and a large growth of memory."""

    def stop(*_: object) -> None:
        raise HangError(f"longer than {SECONDS} s")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    old = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < BYTES


def answer(model: Path, made: Path, out: Path) -> str:
    """What became of it: the one line of an error, or the table of its answers."""
    try:
        found = predict_cases(Predictor.load(model, device="cpu"), made / "cohort/one.csv", out)
    except PolytaskError as error:
        return f"error: {error}"
    assert not found.not_finite
    return (out / "predictions.csv").read_text()


def sweep(made: Path, model: Path, tmp_path: Path, each: int, step: int = 1) -> tuple[int, int]:
    """(how many were refused, how many tried) of every `step`th mutation."""
    described = json.loads((model / "model.json").read_text())
    assert answer(model, made, tmp_path / "first").startswith("subject"), "imports take their time once"
    refused = tried = 0
    for number, (what, changed) in enumerate(mutations(described, each)):
        if number % step:
            continue
        write_sealed(model, changed)
        out = tmp_path / "out" / str(number)
        try:
            with within_limits():
                said = answer(model, made, out)
        except (Exception, HangError) as error:
            raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
        tried += 1
        if said.startswith("error: "):
            refused += 1
            assert "\n" not in said, what
            assert not out.exists(), what
        else:
            cells = said.replace("\n", ",").lower().split(",")
            assert not {"nan", "inf", "-inf"} & set(cells), what
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
    return refused, tried


def test_fields_changed_and_sealed_again(made: Path, model: Path, tmp_path: Path) -> None:
    """Some places and ways; all of them in `test_every_field_in_every_way`."""
    refused, tried = sweep(made, model, tmp_path, 1, step=9)
    assert tried > 100
    assert tried // 3 < refused < tried


@pytest.mark.slow
def test_every_field_in_every_way(made: Path, model: Path, tmp_path: Path) -> None:
    refused, tried = sweep(made, model, tmp_path, 18)
    assert tried // 3 < refused < tried


def test_a_change_without_the_seal_is_told(made: Path, model: Path, tmp_path: Path) -> None:
    path = model / "model.json"
    path.write_text(path.read_text().replace('"view"', '"view" '))
    assert answer(model, made, tmp_path / "a").startswith("subject"), "layout is not content"
    described = json.loads(path.read_text())
    described["plan"]["shared"]["images"]["scan"]["spacing"][0] *= 2
    path.write_text(json.dumps(described))
    assert "changed since it was exported" in answer(model, made, tmp_path / "b")


def test_a_model_from_before_there_were_seals_is_taken_with_a_notice(model: Path) -> None:
    described = json.loads((model / "model.json").read_text())
    del described[SEAL_KEY]
    (model / "model.json").write_text(json.dumps(described))
    assert "has no seal" in Predictor.load(model).notices[0]


def test_a_spacing_that_would_fill_the_memory_is_refused(made: Path, model: Path, tmp_path: Path) -> None:
    described = json.loads((model / "model.json").read_text())
    image = described["plan"]["shared"]["images"]["scan"]
    image["spacing"] = [0.001] * 3
    if image["view_spacing"] is not None:
        image["view_spacing"] = [0.001] * 3
    write_sealed(model, described)
    with within_limits():
        assert "voxels at 0.001×0.001×0.001 mm" in answer(model, made, tmp_path / "out")


def damage_weights(path: Path, way: str) -> None:
    """Change the weights in one of several ways."""
    data, weights = path.read_bytes(), load_file(path)
    name = next(k for k in weights if weights[k].ndim > 1)
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    if way == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif way == "header":
        path.write_bytes(struct.pack("<Q", 2**62) + data[8:])
    elif way == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(len(data)))
    elif way == "offsets":
        header[name]["data_offsets"] = [0, 10**15]
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])
    else:
        changed: dict[str, Any] = {
            "nan": weights[name] * torch.nan,
            "shape": weights[name].flatten(),
            "type": weights[name].double(),
            "less": None,
        }
        weights[name] = changed[way] if way in changed else weights[name]
        if way == "more":
            weights["0/0/surplus"] = torch.zeros(3)
        save_file({k: v for k, v in weights.items() if v is not None}, path)


@pytest.mark.parametrize("way", ["cut", "header", "noise", "offsets", "nan", "shape", "type", "less", "more"])
def test_changed_weights_sealed_again(made: Path, model: Path, tmp_path: Path, way: str) -> None:
    damage_weights(model / "model.safetensors", way)
    described = json.loads((model / "model.json").read_text())
    write_sealed(model, described | {"sha256": sha256(model / "model.safetensors")})
    with within_limits():
        said = answer(model, made, tmp_path / "out")
    assert said.startswith("error: "), said
    assert "\n" not in said
    assert not (tmp_path / "out").exists()
