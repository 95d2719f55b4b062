"""What a network answers about one whole sample: at which visits, and how the view's padding comes off again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from polytask.inference.sample_prediction import Predictions, average_predictions, list_flips, predict_sample
from polytask.model.building_blocks import EncoderSpec
from polytask.model.late_decoding import VisitAnswers
from polytask.model.network import NetworkOutput
from polytask.plan.plan_schema import AugmentationPlan
from polytask.prepare.batch import Batch
from polytask.prepare.evaluation_sample import FullSample, full_sample
from polytask.training.rehearsal import Rehearsal, load_rehearsal

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def rehearsal(prepared: Path) -> Rehearsal:
    return load_rehearsal(prepared, device="cpu")


def test_every_set_of_axes_is_mirrored_once_and_the_first_pass_not_at_all() -> None:
    assert list_flips(()) == [()]
    assert list_flips((0, 1)) == [(), (0,), (1,), (0, 1)]
    assert len(list_flips((0, 1, 2))) == 8


def test_predictions_are_averaged_by_task_and_slot() -> None:
    """Three passes of two members: the networks of the first have a task each, that of the second has both."""
    passes: list[Predictions] = [
        {"a": {0: {"p": torch.tensor([2.0])}}},
        {"b": {-1: {"p": torch.tensor([1.0]), "risk": torch.tensor([4.0])}}},
        {
            "a": {0: {"p": torch.tensor([4.0])}},
            "b": {-1: {"p": torch.tensor([3.0]), "risk": torch.tensor([0.0])}},
        },
    ]
    means = average_predictions(iter(passes), 2)
    assert means["a"][0]["p"].tolist() == [3.0]
    assert {k: v.item() for k, v in means["b"][-1].items()} == {"p": 2.0, "risk": 2.0}
    assert passes[0]["a"][0]["p"].tolist() == [2.0], "the passes themselves are not changed"


class Brightness(torch.nn.Module):
    """Stands where a network stands: a mask task that answers the image's own values, and pooled tasks that answer its
    mean at each visit and over the subject."""

    def __init__(self, windows: bool) -> None:
        super().__init__()
        plain: dict[str, Any] = {"decode": lambda output: {"p": output}}
        levels = {"mask": "voxel", "grade": "visit", "os": "subject"}
        self.tasks = {n: SimpleNamespace(level=level, **plain) for n, level in levels.items()}
        self.windows, self.pooled, self.voxel = windows, ("grade", "os"), ("mask",)
        encoder = EncoderSpec(2, 1, (4,), (1,), ((1, 1),))
        self.spec = SimpleNamespace(voxel_image={"mask": "scan"}, images={"scan": encoder}, crops={})
        self.late: frozenset[str] = frozenset()
        self.seen: list[torch.Tensor] = []

    def compute_with_side_outputs(self, batch: Batch, elsewhere: Any = ()) -> NetworkOutput:
        beside: dict[str, dict[str, torch.Tensor]] = {"grade": {}, "os": {}}
        self.elsewhere = list(elsewhere)
        if "scan" not in batch.whole:
            return NetworkOutput({"grade": torch.zeros(2, 1), "os": torch.zeros(1, 1)}, beside)
        scan = batch.whole["scan"][0]
        self.seen.append(scan)
        there = batch.visit_known[0]
        means = scan.flatten(1).mean(1, keepdim=True)
        masks = {} if "scan" in elsewhere else {"mask": [scan[there]]}
        return NetworkOutput({**masks, "grade": means, "os": means[:1]}, beside)

    def make_condition(self, batch: Batch) -> None:
        return None

    def voxel_outputs(
        self, image: str, windows: torch.Tensor, condition: Any, answers: Any = None
    ) -> dict[str, Any]:
        self.window_sizes = windows.shape[2:]
        return {"mask": [windows]}


class AfterAnswer(Brightness):
    """The same, but the mask follows the grade: it is the image plus the answer of its visit."""

    def __init__(self) -> None:
        super().__init__(True)
        self.late = frozenset({"mask"})

    def compute_with_side_outputs(self, batch: Batch, elsewhere: Any = ()) -> NetworkOutput:
        computed = super().compute_with_side_outputs(batch, elsewhere)
        grades = computed.outputs["grade"]
        assert isinstance(grades, torch.Tensor)
        answers = VisitAnswers({"grade": grades}, {"grade": batch.visit_known.flatten()})
        return NetworkOutput(computed.outputs, computed.side_outputs, answers)

    def voxel_outputs(
        self, image: str, windows: torch.Tensor, condition: Any, answers: Any = None
    ) -> dict[str, Any]:
        grade = answers.outputs["grade"]
        return {"mask": [windows + grade[:, :, None, None]]}


ONE = torch.arange(6.0).reshape(1, 2, 3).numpy()


def make_sample(*images: Any) -> FullSample:
    known = np.array([image is not None for image in images])
    return FullSample(
        subject="a",
        visits=tuple("" for _ in images),
        keys=tuple(None for _ in images),
        visit_known=np.ones(len(images), bool),
        day=np.zeros(len(images), np.float32),
        images={"scan": list(images)},
        whole={},
        channel_known={"scan": known[:, None]},
        tables={},
        table_known={},
    )


def make_plan(field: str, **image: Any) -> Any:
    given = {
        "view": (4, 4),
        "padding": None,
        "strides": ((1, 1),),
        "patch": (2, 2),
        "channels": {"ct": "CT"},
        "channel_flags": False,
        "roi": None,
        **image,
    }
    images = {"scan": SimpleNamespace(field=field, dims=2, **given)}
    return SimpleNamespace(
        shared=SimpleNamespace(
            images=images,
            slides={},
            augmentation=AugmentationPlan(flip=(True, True)),
            training=SimpleNamespace(precision="float32"),
        )
    )


def answer(sample: FullSample, field: str = "whole", **how: Any) -> Predictions:
    network: Any = Brightness(field != "whole")
    return predict_sample(network, sample, make_plan(field), CPU, **how)


def test_with_padding_to_the_batch_an_image_is_padded_for_the_strides_alone() -> None:
    """A prediction depends on the sample itself: its visits share a size, and nothing else counts."""
    network: Any = Brightness(False)
    plan = make_plan("whole", view=(8, 8), padding="batch", strides=((1, 1), (1, 2)))
    predict_sample(network, make_sample(np.ones((1, 5, 3), np.float32)), plan, CPU)
    assert network.seen[-1].shape == (1, 1, 5, 8), (
        "4 positions at the deepest stage, and no padding where none is needed"
    )
    found = predict_sample(network, make_sample(ONE, np.ones((1, 2, 9), np.float32), None), plan, CPU)
    assert network.seen[-1].shape == (3, 1, 4, 9), "what is longer than the view is seen whole"
    assert found["mask"][0]["p"][0].tolist() == ONE.tolist()
    predict_sample(network, make_sample(None), plan, CPU)
    assert network.seen[-1].shape == (1, 1, 4, 8)


def test_an_image_is_padded_in_the_middle_and_its_mask_cut_out_again() -> None:
    network: Any = Brightness(False)
    found = predict_sample(network, make_sample(ONE), make_plan("whole"), CPU)
    (seen,) = network.seen
    assert seen.shape == (1, 1, 4, 4)
    assert seen[0, 0].tolist() == [[0, 0, 0, 0], [0, 1, 2, 0], [3, 4, 5, 0], [0, 0, 0, 0]]
    assert found["mask"][0]["p"][0].tolist() == ONE.tolist()
    assert found["grade"][0]["p"].item() == pytest.approx(15 / 16)
    assert found["os"][-1]["p"].item() == pytest.approx(15 / 16)


def test_a_larger_image_makes_room_for_itself() -> None:
    large = torch.ones(1, 5, 3).numpy()
    network: Any = Brightness(False)
    found = predict_sample(network, make_sample(ONE, large), make_plan("whole"), CPU)
    assert network.seen[0].shape == (2, 1, 5, 4)
    assert found["mask"][1]["p"].shape == (1, 1, 5, 3)
    assert found["mask"][0]["p"][0].tolist() == ONE.tolist()
    assert set(found["grade"]) == {0, 1}


def test_an_image_far_larger_than_the_view_is_scanned_in_windows_of_its_size() -> None:
    """The view of 4×4 was planned for; 32 pixels still are seen as a whole, and 33 are not."""
    for shape, windows in (((1, 4, 8), False), ((1, 3, 11), True)):
        image = torch.arange(float(np.prod(shape))).reshape(shape).numpy()
        network: Any = Brightness(False)
        found = predict_sample(network, make_sample(ONE, image), make_plan("whole"), CPU, flips=[(1,)])
        assert ("scan" in network.elsewhere) is windows
        if windows:
            assert network.window_sizes == (4, 4)
        assert found["mask"][1]["p"][0] == pytest.approx(torch.from_numpy(image), abs=1e-5)
        assert found["mask"][0]["p"][0] == pytest.approx(torch.from_numpy(ONE), abs=1e-5)
        assert set(found["grade"]) == {0, 1}, "pooled tasks read the whole image all the same"


def test_a_mask_that_follows_a_grade_reads_in_every_window_the_grade_of_its_visit() -> None:
    images = [torch.rand(1, 9, 9).numpy(), torch.rand(1, 9, 9).numpy() + 5]
    network: Any = AfterAnswer()
    found = predict_sample(network, make_sample(*images), make_plan("whole"), CPU, flips=[(), (0,)])
    for slot, image in enumerate(images):
        wanted = torch.from_numpy(image) + found["grade"][slot]["p"].item()
        assert found["mask"][slot]["p"][0] == pytest.approx(wanted, abs=1e-5)
    pooled = predict_sample(network, make_sample(*images), make_plan("whole"), CPU, pooled_only=True)
    assert set(pooled) == {"grade", "os"}


def test_a_network_without_pooled_tasks_never_sees_such_an_image_as_a_whole() -> None:
    network: Any = Brightness(False)
    network.pooled = ()
    found = predict_sample(network, make_sample(torch.ones(1, 9, 9).numpy()), make_plan("whole"), CPU)
    assert (network.seen, set(found)) == ([], {"mask"})


def test_a_visit_without_an_image_has_no_mask() -> None:
    found = answer(make_sample(ONE, None))
    assert set(found["mask"]) == {0}
    assert set(found["grade"]) == {0, 1}
    assert found["grade"][1]["p"].item() == 0.0


@pytest.mark.parametrize("field", ["whole", "patch"])
def test_mirrored_passes_are_turned_back_and_averaged(field: str) -> None:
    for flips in ([()], [(0,)], [(1,)], list_flips((0, 1))):
        found = answer(make_sample(ONE), field, flips=flips)
        assert found["mask"][0]["p"][0] == pytest.approx(torch.from_numpy(ONE), abs=1e-5)


def test_what_a_mirrored_pass_calls_left_gets_its_name_again() -> None:
    asked: list[tuple[str, int, tuple[int, ...]]] = []

    def named(task: str, slot: int, axes: Any, seen: Any) -> Any:
        asked.append((task, slot, tuple(axes)))
        return {"p": seen["p"] + (10 if axes else 0)}

    found = answer(make_sample(ONE), flips=[(), (1,)], restore_sides=named)
    assert found["mask"][0]["p"][0, 0, 0].tolist() == [5.0, 6.0, 7.0]
    assert ("mask", 0, (1,)) in asked
    assert ("os", -1, ()) in asked


def test_windows_are_left_out_where_only_pooled_answers_are_asked_for() -> None:
    assert set(answer(make_sample(ONE), "patch")) == {"mask", "grade", "os"}
    assert set(answer(make_sample(ONE), "patch", pooled_only=True)) == {"grade", "os"}


def sample_of(rehearsal: Rehearsal) -> FullSample:
    """The first tuning subject, with the first image at hand."""
    c = rehearsal.context
    samples = c.cohort.samples(c.parts.tune)
    full = full_sample(c.store, c.cohort, samples[0], c.plan, c.plan.folds[c.fold])
    assert full.images["scan"][0] is not None
    return full


def infer_sample(rehearsal: Rehearsal, sample: FullSample, flips: list[tuple[int, ...]]) -> Predictions:
    return predict_sample(rehearsal.state.network, sample, rehearsal.context.plan, CPU, flips=flips)


def test_a_subject_task_answers_once_and_the_others_at_each_visit_that_is_there(rehearsal: Rehearsal) -> None:
    sample = sample_of(rehearsal)
    found = infer_sample(rehearsal, sample, [()])
    tasks = rehearsal.state.network.tasks
    assert set(found) == set(tasks)
    there = {slot for slot, known in enumerate(sample.visit_known) if known}
    for name, slots in found.items():
        assert set(slots) == ({-1} if tasks[name].level == "subject" else there), name
        assert all(len(values) == 1 for p in slots.values() for values in p.values())
    image = sample.images["scan"][0]
    assert image is not None
    assert found["lesion"][0]["p"].shape[-2:] == image.shape[1:], "the padding of the view is cut off"


def test_a_missing_image_has_no_mask_and_its_visit_is_answered_all_the_same(rehearsal: Rehearsal) -> None:
    sample = sample_of(rehearsal)
    images = {**sample.images, "scan": [None, *sample.images["scan"][1:]]}
    whole = {k: [None, *v[1:]] for k, v in sample.whole.items()}
    found = infer_sample(rehearsal, replace(sample, images=images, whole=whole), [()])
    assert 0 not in found["lesion"]
    assert 0 in found["grade"]


def test_a_missing_image_is_not_scanned_by_windows(prepared: Path) -> None:
    unviewed = ("images.scan.view=null", "images.scan.view_spacing=null")
    changes = ["images.scan.field=patch", "images.scan.patch=[16,16]", *unviewed]
    windows = load_rehearsal(prepared, device="cpu", tasks=["lesion"], changes=changes)
    sample = sample_of(windows)
    image = sample.images["scan"][0]
    assert image is not None
    assert infer_sample(windows, sample, [()])["lesion"][0]["p"].shape[-2:] == image.shape[1:]
    missing = replace(sample, images={**sample.images, "scan": [None, *sample.images["scan"][1:]]})
    assert 0 not in infer_sample(windows, missing, [()]).get("lesion", {})
    assert predict_sample(windows.state.network, sample, windows.context.plan, CPU, pooled_only=True) == {}


def test_mirrored_passes_are_averaged_where_they_look(prepared: Path) -> None:
    rehearsal = load_rehearsal(prepared, device="cpu", changes=["augmentation.flip=[true,true]"])
    sample = sample_of(rehearsal)
    alone = [infer_sample(rehearsal, sample, [axes])["lesion"][0]["p"] for axes in list_flips((0, 1))]
    assert len(alone) == 4
    assert not torch.allclose(alone[0], alone[1], atol=1e-6), "the passes see different pictures"
    together = infer_sample(rehearsal, sample, list_flips((0, 1)))["lesion"][0]["p"]
    assert torch.allclose(together, torch.stack(alone).mean(0), atol=1e-6)
