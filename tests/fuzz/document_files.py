"""Every document Polytask reads, as a small training leaves it, and its mutations."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from polytask.predict.seal import SEAL_KEY, compute_seal
from tests.fuzz.document_mutations import (
    Write,
    make_rng,
    mutate_document,
    mutate_tree,
    write_json_text,
    write_lines,
    write_yaml_text,
)
from tests.fuzz.reader_client import Mutations

WORD_MAP_TEXT = (
    "tasks: {grade: Grade}\nclasses:\n  grade: {low: lo, high: hi}\nunits: {os: 30.5}\ncolumns: "
    "{age: years}\n"
)
CASE_RECORD = {"run": {"name": "a"}, "costs": {"seconds": 1.5}}


@dataclass(frozen=True)
class DocumentFile:
    """A document: the name of its file, who reads it, what it says, and how that is written."""

    name: str
    reader: str
    text: bytes
    write: Write

    @property
    def tree(self) -> Any:
        if self.write is write_lines:
            return [json.loads(line) for line in self.text.splitlines()]
        return yaml.safe_load(self.text) if self.write is write_yaml_text else json.loads(self.text)

    def mutations(self, count: int, seed: int, other: DocumentFile) -> Mutations:
        """The same for the same seed; `other` gives values and text."""
        rng, tree, theirs = make_rng(seed), self.tree, (other.tree, other.text)
        for number in range(count):
            data = mutate_document(tree, self.text, self.write, rng, theirs)
            yield (
                f"{self.name} {number}",
                self.reader,
                lambda folder, data=data: _write_bytes(folder / self.name, data),
            )


def _write_bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def find_document_files(made: Path) -> dict[str, DocumentFile]:
    """All documents of a folder of `train_with_clinic`, and those it lacks."""
    work, run = made / "work", made / "work/runs/a"
    found = [
        ("header", made / "cohort/cohort.yaml", write_yaml_text),
        ("plan", work / "plan.yaml", write_yaml_text),
        ("run", run / "run.yaml", write_yaml_text),
        ("splits", work / "splits.json", write_json_text),
        ("fingerprint", work / "fingerprint.json", write_json_text),
        ("evaluation", run / "evaluation.json", write_json_text),
        ("answers", run / "answers.json", write_json_text),
        ("decisions", run / "decisions.json", write_json_text),
        ("learned", run / "learnt.json", write_json_text),
        ("baselines", run / "baselines.json", write_json_text),
        ("state", run / "last/state.json", write_json_text),
        ("log", run / "metrics.jsonl", write_lines),
        ("store", work / "store/store.json", write_json_text),
        ("meta", work / "store/01/meta.json", write_json_text),
    ]
    papers = {
        reader: DocumentFile(path.name, reader, path.read_bytes(), write) for reader, path, write in found
    }
    papers |= {
        "word_map": DocumentFile("mapping.yaml", "word_map", WORD_MAP_TEXT.encode(), write_yaml_text),
        "record": DocumentFile("study.json", "record", write_json_text(CASE_RECORD), write_json_text),
        "touched": DocumentFile(
            "test_log.jsonl", "touched", write_lines([{"when": "x", "part": "test"}] * 3), write_lines
        ),
        "design": DocumentFile("study.yaml", "design", _make_study_design(), write_yaml_text),
    }
    return papers


def _make_study_design() -> bytes:
    import tempfile

    from tests.study.test_study_design import DESIGN

    with tempfile.TemporaryDirectory() as folder:
        DESIGN.write(Path(folder))
        return (Path(folder) / "study.yaml").read_bytes()


def mutate_bundles(made: Path, count: int, seed: int) -> Mutations:
    """Exported models: what their description says, sealed again so that it is looked at; and their weights."""
    from polytask.training.tensor_files import sha256
    from tests.fuzz.byte_mutations import mutate_bytes

    described = json.loads((made / "model/model.json").read_text())
    weights = (made / "model/model.safetensors").read_bytes()
    top = 8 + int.from_bytes(weights[:8], "little")
    rng = make_rng(seed)

    def write(folder: Path, changed: Any, data: bytes) -> Path:
        model = folder / "model"
        shutil.rmtree(model, ignore_errors=True)
        model.mkdir()
        (model / "model.safetensors").write_bytes(data)
        if isinstance(changed, dict):
            changed = {k: v for k, v in changed.items() if k != SEAL_KEY}
            changed["sha256"] = (
                sha256(model / "model.safetensors") if data != weights else changed.get("sha256")
            )
            changed[SEAL_KEY] = compute_seal(changed)
        (model / "model.json").write_bytes(write_json_text(changed))
        return model

    for number in range(count):
        changed, data = described, weights
        if rng.random() < 0.8:
            changed = mutate_tree(described, rng, described)
        else:
            data = mutate_bytes(weights, rng, top)
        yield f"bundle {number}", "bundle", lambda folder, c=changed, d=data: write(folder, c, d)
