"""The comparison with other tools: what is ours in it, the volumes, the scoring and the table. No peer is needed."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import nibabel
import numpy as np
import pytest
import torch
from scipy.stats import ttest_rel

from polytask.cohort.check import check_cohort
from polytask.cohort.cohort import Cohort
from polytask.cohort.importers.nnunet import import_nnunet

PEERS = Path(__file__).parents[2] / "benchmarks" / "peers"


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(PEERS)
    return importlib.import_module("compare")


@pytest.fixture
def cases(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(PEERS)
    return importlib.import_module("_peer_cases")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peers") / "Dataset901_Bodies"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PEERS)
        importlib.import_module("make_volumes").write_data_set(folder, training=5, test=2, seed=0)
    return folder


def test_the_volumes_are_a_raw_data_set_that_can_be_repeated(
    compare: ModuleType, data: Path, tmp_path: Path
) -> None:
    images, labels = (
        [nibabel.load(p) for p in sorted(data.glob(f"{part}*/*"))] for part in ("images", "[lt][ar]")
    )
    assert len(images) == len(labels) == 7
    sizes = np.array([image.shape for image in images])
    assert np.abs(sizes.mean(0) - (36, 50, 35)).max() < 4
    assert len({tuple(size) for size in sizes.tolist()}) > 3
    for image, label in zip(images, labels, strict=True):
        voxels, drawn = image.get_fdata(), np.asarray(label.dataobj)
        assert drawn.shape == voxels.shape
        assert set(np.unique(drawn)) == {0, 1, 2}
        assert min((drawn == 1).sum(), (drawn == 2).sum()) > 100
        # The body is visible, and no threshold finds it.
        spread = (voxels[drawn > 0].mean() - voxels[drawn == 0].mean()) / voxels.std()
        assert 0.5 < spread < 3
    compare.write_data_set(tmp_path / "again", training=5, test=2, seed=0)
    for path in data.rglob("*.nii.gz"):
        again = nibabel.load(tmp_path / "again" / path.relative_to(data))
        np.testing.assert_array_equal(again.get_fdata(), nibabel.load(path).get_fdata())


def test_the_volumes_can_be_imported_with_their_fold(data: Path, tmp_path: Path) -> None:
    import_nnunet(data, tmp_path / "cohort")
    assert not [p for p in check_cohort(tmp_path / "cohort") if p.level == "error"]
    cohort = Cohort.read(tmp_path / "cohort")
    assert len(cohort.list_split_subjects("train")) == 5
    # The truth of the test part lies where no importer looks.
    assert all("mask" not in case.cells for case in cohort.cases if case.subject >= "body_005")
    (fold,) = json.loads((tmp_path / "cohort" / "splits_final.json").read_text())
    assert (len(fold["train"]), len(fold["val"])) == (4, 1)


def test_scores_by_hand(compare: ModuleType) -> None:
    truth = np.zeros((4, 4, 4), np.uint8)
    truth[0], truth[1] = 1, 2
    drawn = np.zeros_like(truth)
    drawn[0, :2], drawn[1] = 1, 2
    # head: 2 · 8 / (8 + 16); tail: 1.
    assert compare.score_label_map(drawn, truth) == pytest.approx((2 / 3 + 1) / 2)
    assert compare.score_label_map(np.zeros_like(truth), truth) == 0
    # Sides exchanged: no structure is right, both as one are.
    assert compare.score_label_map(np.array([0, 2, 1])[truth], truth) == 0
    assert compare.score_whole_body(np.array([0, 2, 1])[truth], truth) == 1
    assert compare.score_whole_body(drawn, truth) == pytest.approx(2 * 24 / (24 + 32))
    with pytest.raises(ValueError, match="another grid"):
        compare.score_label_map(drawn[:2], truth)


def test_predictions_are_written_on_the_grid_and_scored(
    compare: ModuleType, cases: ModuleType, data: Path, tmp_path: Path
) -> None:
    calls: list[str] = []

    def predict(image: Path) -> np.ndarray:
        calls.append(cases.find_case_name(image))
        truth = np.asarray(nibabel.load(data / "truthTs" / f"{calls[-1]}.nii.gz").dataobj)
        return truth if calls[-1] == "body_005" else 0 * truth

    seconds = cases.predict_test_cases(data, tmp_path / "out", "once", predict)
    assert calls == ["body_005", "body_005", "body_006"]
    assert len(seconds) == 2
    assert len(cases.predict_test_cases(data, tmp_path / "out", "mirrored", predict, 1)) == 1
    assert compare.score_predictions(data, tmp_path / "out" / "mirrored", compare.score_label_map) == [1.0]
    assert compare.score_predictions(data, tmp_path / "out" / "once", compare.score_label_map) == [1.0, 0.0]
    report = cases.PeerReport(7, 20.0, 1.0, {"once": seconds}, "small")
    cases.write_peer_report(tmp_path / "out", report)
    assert cases.read_peer_report(tmp_path / "out") == report


def test_the_table_says_who_leads(compare: ModuleType) -> None:
    random = np.random.default_rng(0)
    hard = random.normal(0, 0.05, 12)
    level = {"polytask": 0.80, "nnunet-light": 0.70, "nnunet-planned": 0.9, "monai": 0.8}

    def train(system: str, seed: int) -> object:
        dice = (level[system] + hard + random.normal(0, 0.01, 12)).tolist()
        report = compare.PeerReport(10 + seed, 100.0, 0.0, {w: [0.5, 0.7, 0.6] for w in compare.WAYS}, "net")
        # Only the first cases are mirrored, and mirroring gains 0.02 in each of them.
        ways = {"once": dice, "mirrored": [d + 0.02 for d in dice[:3]]}
        return compare.Training(system, seed, report, ways, [0.9] * 12)

    trainings = [train(system, seed) for seed in range(2) for system in level]
    text = compare.format_table(trainings)
    assert [line.split(" | ")[0] for line in text[2:6]] == [f"| {system}" for system in level]
    assert "| net | 10 11 | 100 100 |" in text[2]
    assert text[2].endswith("| 0.900 | 0.60 | 0.60 | +0.020 |")
    verdicts = [line.rsplit(": ", 1)[1] for line in text[6:]]
    assert verdicts == [
        "ahead",
        "not told apart",
        "behind",
        "not told apart",
        "not told apart",
        "not told apart",
    ]
    assert text[6].startswith("polytask - nnunet-light, dice: ")
    # Some are ahead in every case by the luck of one training alone: a single seed gives no claim.
    lucky = compare.format_table([t for t in trainings if t.seed == 0])
    assert {line.rsplit(": ", 1)[1] for line in lucky[6:]} == {"one training each, no claim"}

    dice = {s: np.mean([t.dice["once"] for t in trainings if t.system == s], axis=0) for s in level}
    mean, low, high = compare.compute_paired_difference(dice["polytask"], dice["monai"])
    wanted = ttest_rel(dice["polytask"], dice["monai"]).confidence_interval()
    assert (low, high) == pytest.approx((wanted.low, wanted.high), abs=1e-4)
    assert low < mean < high
    pairs = compare.compare_trainings(trainings, "monai", lambda t: t.dice["once"])
    assert pairs["cases"] == [mean, low, high]
    by_seed = {s: [np.mean(t.dice["once"]) for t in trainings if t.system == s] for s in level}
    wanted = ttest_rel(by_seed["polytask"], by_seed["monai"]).confidence_interval()
    assert pairs["seeds"][1:] == pytest.approx([wanted.low, wanted.high], abs=1e-4)
    assert compare.compare_trainings(trainings[:1] + trainings[-1:], "monai", lambda t: t.dice["once"]) == {}


def test_unknown_systems_are_refused_in_a_line(
    compare: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["compare.py", "--systems", "polytask,nobody"])
    with pytest.raises(SystemExit) as stop:
        compare.main()
    assert stop.value.code == 2
    assert "--systems nobody: unknown; known are polytask, nnunet-planned" in capsys.readouterr().err


def test_the_costs_of_a_network_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PEERS)
    step_cost = importlib.import_module("step_cost")
    network = torch.nn.Conv3d(1, 4, 3, stride=2, padding=1)
    counted = step_cost.describe_network(network, torch.zeros(step_cost.BATCH, 1, 8, 8, 8))
    # 4³ positions, 27 taps, 4 channels; a multiplication and an addition each.
    assert counted["gflop"] == pytest.approx(2 * 64 * 27 * 4 / 1e9)
    assert counted["parameters"] == 4 * 27 + 4
    # The first convolution of MONAI's UNet halves the resolution: with as many parameters it computes far less.
    monai = step_cost.MonaiTrainer().network
    maps: list[torch.Tensor] = []
    monai.model[0].register_forward_hook(lambda module, given, made: maps.append(made))
    monai(torch.zeros(1, 1, 16, 24, 16))
    assert maps[0].shape == (1, 16, 8, 12, 8)
    seconds = step_cost.time_in_turns({"a": lambda: None, "b": lambda: None}, 3)
    assert {side: len(values) for side, values in seconds.items()} == {"a": 3, "b": 3}
