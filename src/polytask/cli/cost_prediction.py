"""The memory that the plan's count predicts for a network of `polytask bench models`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polytask.model.cost_setting import CostSetting
    from polytask.plan.rules.view_readers import ViewReaders


def predict_cost_memory(setting: CostSetting, sharing: str, form: str) -> float:
    """Predict the bytes that `SharingCost.memory` measures: kept ones on a CPU, the peak with its margin on CUDA.

    For `single` it is the sum over one network per task, as there.
    """
    from polytask.model.cost_setting import count_cost_tasks
    from polytask.plan.rules.view_readers import ViewReaders

    voxel, pooled = count_cost_tasks(setting)
    if sharing == "single":
        with_masks, without = ViewReaders(voxel=1, branches=1, decoders=1), ViewReaders(pooled=1, branches=1)
        with_masks, without = (replace(readers, encoder=setting.encoder) for readers in (with_masks, without))
        return voxel * _predict_network(setting, with_masks) + pooled * _predict_network(setting, without)
    readers = ViewReaders(sharing, form, voxel=voxel, pooled=pooled, branches=voxel + pooled, decoders=voxel)
    readers = replace(readers, encoder=setting.encoder)
    return _predict_network(setting, readers)


def _predict_network(setting: CostSetting, readers: ViewReaders) -> float:
    from polytask.plan.rules.network_cost import COPY_BYTES, Topology, add_temporary_bytes
    from polytask.plan.rules.sharing_cost import count_view_bytes
    from polytask.plan.rules.sharing_parameters import count_reader_parameters

    levels = setting.levels
    topology = Topology(
        setting.dims,
        1,
        setting.widths[:levels],
        (1,) * levels,
        ((1,) * setting.dims, *[(2,) * setting.dims] * (levels - 1)),
        encoder=setting.encoder,
    )
    size = (setting.size,) * setting.dims
    each = count_view_bytes(topology, size, readers, setting.precision)
    if setting.device.startswith("cuda"):
        each = add_temporary_bytes(each, topology, size, setting.precision, "cuda")
    copies = COPY_BYTES * count_reader_parameters(topology, readers) if setting.precision == "bf16" else 0
    return setting.batch * each + copies
