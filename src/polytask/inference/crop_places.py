"""Finds the places of crops by the mask that the network itself predicts."""

from __future__ import annotations

from torch import Tensor

from polytask.model.network import Network
from polytask.model.order.answer_maps import make_answer_map
from polytask.plan.plan_schema import Plan
from polytask.plan.roi_plan import compute_crop_size
from polytask.prepare.finding_places import Place
from polytask.prepare.predicted_places import find_predicted_places


def find_crop_choosers(network: Network) -> dict[str, str]:
    """Find the images with crops that the prediction of a voxel task chooses, and that task."""
    crops = network.spec.crops if network.pooled else {}
    return {image: crop.task for image, crop in crops.items() if crop.task is not None}


def find_crop_places(network: Network, plan: Plan, image: str, output: Tensor) -> tuple[Place, ...]:
    """Find the places of the crops of an image by the output `[K, *space]` of the task that chooses them.

    The structures count as one mask: a finding of a core and a rim is one place.
    """
    crops, size = network.spec.crops[image], compute_crop_size(plan.shared.images[image])
    assert crops.task is not None
    probability = make_answer_map(network.tasks[crops.task], output[None])[0].float().amax(0)
    return tuple(find_predicted_places(probability.cpu().numpy(), size, crops.count))
