"""CONTRIBUTING.md is true: a toy member of every family, added as it says, is found, tested and trained.

Each toy is what a new file would hold; `monkeypatch.setitem` stands for the line in the registry. A kind of task has a
test of its own: `tests/kinds/test_new_kind.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from polytask import Predictor, train
from polytask.balance import RULES
from polytask.balance.rule import RuleInput, RuleMemory
from polytask.cohort.check import check_cohort
from polytask.cohort.cohort import Cohort
from polytask.cohort.header import ImageInput, RegressionSpec
from polytask.cohort.importers import IMPORTERS
from polytask.cohort.importers.cohort_draft import CohortDraft, DraftCells, ImportedCohort
from polytask.images.formats import FORMATS, ImageFormat
from polytask.images.size_limits import check_array_size
from polytask.images.volume import Grid, ImageInfo, Volume
from polytask.model.building_blocks import Encoder, EncoderSpec, NamedModules, TaskCut, pool_mean_max
from polytask.model.input_fusion import INPUT_FUSIONS
from polytask.model.roles import TRUNK, ParameterRoles, assign_role, private_role
from polytask.model.sharing import SHARINGS
from polytask.model.visit_fusion import FUSION_DEPTHS, MIN_FUSION_VISITS, VISIT_FUSIONS
from polytask.registries import list_members
from tests.balance import test_rules
from tests.docs.starts import prepared as prepare_phantom
from tests.images import test_formats
from tests.images.shapes import DIRECTIONS
from tests.model import test_fusions, test_sharing

STEPS = ("training.epochs=1", "training.steps_per_epoch=2")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A planned and prepared 2D phantom."""
    prepare_phantom(tmp_path)
    return tmp_path / "work"


# A sharing block: one encoder, and before each task a gate of its own (a toy of attention).


class Gated(nn.Module):
    """One encoder, and a private gate on every map a task reads."""

    interacts = False

    def __init__(self, spec: EncoderSpec, needs: Mapping[str, frozenset[int]]):
        super().__init__()
        self.needs, self.channels = dict(needs), spec.widths
        self.encoder = Encoder(spec)
        self.gates = NamedModules(
            {
                t: nn.ModuleList(nn.Linear(spec.widths[k], spec.widths[k]) for k in sorted(ks))
                for t, ks in needs.items()
            }
        )

    def forward(self, x: Tensor, tasks: Sequence[str], cut: TaskCut) -> dict[str, list[Tensor | None]]:
        found: dict[str, list[Tensor | None]] = {t: [] for t in tasks}
        for level, shared in enumerate(self.encoder(x)):
            readers = [t for t in tasks if level in self.needs[t]]
            leaves = cut(shared, readers) if readers else {}
            for task in tasks:
                found[task].append(self._gated(task, level, leaves[task]) if task in leaves else None)
        return found

    def _gated(self, task: str, level: int, leaf: Tensor) -> Tensor:
        gate = self.gates[task][sorted(self.needs[task]).index(level)]
        weight = gate(leaf.flatten(2).mean(2)).sigmoid()
        return leaf * weight.reshape(*weight.shape, *[1] * (leaf.dim() - 2))

    def roles(self) -> ParameterRoles:
        found = assign_role(self.encoder, "encoder.", TRUNK)
        for task, gates in self.gates.items():
            found |= assign_role(gates, f"gates.members.@{task}.", private_role(task))
        return found


def test_a_sharing_block_is_one_file_and_one_name(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHARINGS, "gated", Gated)
    assert list_members("sharing")["gated"].startswith("One encoder, and a private gate")
    for mix in ("voxel+visit", "all"):
        test_sharing.test_shapes("gated", "light", 2, mix)
        test_sharing.test_measured_roles_equal_declared_ones("gated", "light", 2, mix)
        test_sharing.test_trunk_gradient_at_the_cut_is_that_of_the_summed_loss("gated", "light", 2, mix)
        test_sharing.test_eval_is_deterministic_and_cases_do_not_see_each_other("gated", "light", 2, mix)
    test_sharing.test_padded_visits_do_not_matter("gated", "light", 2)
    run = train(work, sharing="gated", overrides=STEPS)
    assert run.record["sharing"] == "gated"
    assert Predictor.load(run.folder).members[0].networks[0].blocks["scan"].gates.members


# Balancing rules: by the lengths of the gradients, and by the size of the losses.


def by_length(gramian: npt.NDArray[np.float64], draw: np.random.Generator) -> npt.NDArray[np.float64]:
    """Every gradient brought to the mean length (a toy)."""
    lengths = np.sqrt(np.diag(gramian))
    return np.asarray(lengths.mean() / lengths)


@dataclass(frozen=True)
class LateBloomer:
    """Weight in proportion to the loss: who is worst off counts most (a toy)."""

    reads: ClassVar[str] = "losses"

    def start(self, tasks: int) -> RuleMemory:
        return {}

    def weigh(self, seen: RuleInput, memory: RuleMemory) -> tuple[npt.NDArray[np.float64], RuleMemory]:
        return seen.losses / seen.positive.mean(), memory


def test_a_balancing_rule_is_one_function_or_file_and_one_name(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, member in (("by_length", by_length), ("late_bloomer", LateBloomer)):
        monkeypatch.setitem(RULES, name, member)
        test_rules.test_weights_are_finite_and_the_same_again(name)
        test_rules.test_the_order_of_tasks_does_not_matter(name)
        test_rules.test_an_absent_task_is_as_if_it_were_not_there(name)
        run = train(work, balance=name, name=name, overrides=STEPS)
        assert run.record["balance"] == name
    test_rules.test_no_two_rules_take_the_same_step_where_tasks_conflict()
    test_rules.test_equal_gradients_give_that_gradient("by_length")
    assert list_members("balance")["by_length"].startswith("Every gradient brought")


# Fusions: the mean over what is there.


class MeanVisit(nn.Module):
    """The mean of the visits that are there."""

    def __init__(self, channels: Sequence[int], visits: int, width: int, dims: int):
        super().__init__()
        self.layer = nn.Linear(2 * channels[-1], width)

    def forward(self, maps: Sequence[Tensor], known: Tensor, day: Tensor) -> Tensor:
        deepest = maps[-1]
        pooled = pool_mean_max(deepest.flatten(0, 1)).reshape(*deepest.shape[:2], -1)
        there = known[..., None]
        mean = torch.where(there, pooled, 0.0).sum(1) / there.sum(1).clamp(min=1)
        fused: Tensor = self.layer(mean)
        return fused


class MeanSource(nn.Module):
    """The mean of the inputs that are there, with equal weights."""

    def __init__(self, sources: int, width: int):
        super().__init__()

    def forward(self, tokens: Tensor, known: Tensor) -> tuple[Tensor, Tensor | None]:
        weights = known.to(tokens.dtype) / known.sum(1, keepdim=True).clamp(min=1)
        return (torch.where(known[..., None], tokens, 0.0) * weights[..., None]).sum(1), weights


def test_fusions_are_one_file_and_one_name(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VISIT_FUSIONS, "mean", MeanVisit)
    monkeypatch.setitem(FUSION_DEPTHS, "mean", 2)
    monkeypatch.setitem(MIN_FUSION_VISITS, "mean", 1)
    monkeypatch.setitem(INPUT_FUSIONS, "mean", MeanSource)
    assert "mean" in list_members("visit_fusion")
    assert "mean" in list_members("input_fusion")
    test_fusions.test_every_time_fusion_says_how_deep_it_reads()
    test_fusions.test_padded_visits_do_not_matter("mean", "mean", 2)
    test_fusions.test_the_token_of_an_unknown_input_does_not_matter("mean")
    run = train(work, overrides=("model.visit_fusion=mean", "model.input_fusion=mean", *STEPS))
    network = Predictor.load(run.folder).members[0].networks[0]
    assert any(isinstance(module, MeanVisit) for module in network.modules())
    assert any(isinstance(module, MeanSource) for module in network.modules())


# An image format: a line of JSON, then the voxels.


def _probe(path: Path, dims: int, limit: int | None) -> ImageInfo:
    with path.open("rb") as file:
        said = json.loads(file.readline())
    shape, kind = tuple(said["shape"]), np.dtype(said["dtype"])
    check_array_size(path, shape, kind, limit)
    return ImageInfo(Grid(shape[1:], np.array(said["affine"])), shape[0], kind)


def _read(path: Path, dims: int, limit: int | None) -> Volume:
    info = _probe(path, dims, limit)
    data = path.read_bytes().partition(b"\n")[2]
    return Volume(np.frombuffer(data, info.dtype).reshape(info.channels, *info.grid.shape), info.grid)


def _write(path: Path, volume: Volume) -> None:
    said = {
        "shape": volume.array.shape,
        "dtype": volume.array.dtype.str,
        "affine": volume.grid.affine.tolist(),
    }
    path.write_bytes(json.dumps(said).encode() + b"\n" + volume.array.tobytes())


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_an_image_format_is_one_file_and_one_name(
    direction: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMATS, ".toy", ImageFormat("A line of JSON, then voxels", _probe, _read, _write))
    assert list_members("formats")[".toy"].startswith("A line of JSON")
    test_formats.test_round_trip_keeps_world_places(tmp_path, ".toy", direction, 3)


# An importer: a folder of images whose names hold the target.


def import_named(folder: Path | str, out: Path | str) -> ImportedCohort:
    """Files called ID_NUMBER.png: the number is the target."""
    draft = CohortDraft("named")
    draft.inputs["photo"] = ImageInput(kind="image", dims=2, channels={"gray": "other"})
    draft.tasks["size"] = RegressionSpec(kind="regression")
    for path in sorted(Path(folder).glob("*.png")):
        subject, _, size = path.stem.partition("_")
        row: DraftCells = {"subject": subject, "photo.gray": path, "size": size}
        draft.rows.append(row)
    return draft.write(Path(out), overwrite=False)


def test_an_importer_is_one_file_and_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from polytask.images.formats import write_image_file

    r = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for n in range(12):
        pixels = r.integers(0, 255, (1, 24, 24), dtype=np.uint8)
        write_image_file(
            tmp_path / "photos" / f"p{n}_{10 + n}.png", Volume(pixels, Grid((24, 24), np.eye(4)))
        )
    monkeypatch.setitem(IMPORTERS, "named", import_named)
    assert list_members("importers")["named"].startswith("Files called ID_NUMBER.png")
    done = IMPORTERS["named"](tmp_path / "photos", tmp_path / "cohort")
    cohort = Cohort.read(done.folder)
    assert [p for p in check_cohort(done.folder) if p.level == "error"] == []
    assert cohort.cases[0].cells["photo.gray"].endswith("photos/p0_10.png")
    assert sorted(p.name for p in done.folder.iterdir()) == ["cases.csv", "cohort.yaml"], (
        "images are not copied"
    )
