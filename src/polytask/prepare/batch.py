"""A batch of samples: a fixed set of named tensors, without free metadata."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from polytask.tasks.target import Target, copy_to_device


@dataclass(frozen=True)
class Batch:
    """The tensors of B samples with at most V visits each.

    Args:
        subjects: `B` subject ids.
        visits: for each sample the names of its V visits, "" where padded.
        visit_known: bool `[B, V]`, False where padded.
        day: float `[B, V]`, days since the first visit.
        whole: per image input `[B, V, C, *space]`; inputs with field `patch` are not in it.
        patch: per image input `[B, V, P, C, *patch]`; inputs with field `whole` are not in it.
        channel_known: per image input bool `[B, V, channels of the header]`.
        tables: per table input float `[B, V, F]`, imputed and scaled.
        table_known: per table input bool `[B, V, F]`.
        targets: per task a `Target` whose leading axes are `[B]`, `[B, V]` or, for voxel tasks, `[B, V]`
            beside a whole view and `[B, V, P]` beside patches (then `known` is `[B, V, K]` and holds for all P).
        bags: per slide input `[B, V, P, 3, h, w]` uint8 colors or `[B, V, P, F]` features, both as they are stored;
            the slide encoder scales them.
        bag_known: per slide input bool `[B, V, P]`; a slide without any known patch is missing.
        crops: per image input with `roi` `[B, V, G, C, *size]`, the G places from which the tasks choose crops.
        crop_known: per image input with `roi` bool `[B, V, G]`, False where padded.
        host_visit_known: `visit_known` in host memory, for a batch on a device; see `Target`.
    """

    subjects: tuple[str, ...]
    visits: tuple[tuple[str, ...], ...]
    visit_known: Tensor
    day: Tensor
    whole: dict[str, Tensor]
    patch: dict[str, Tensor]
    channel_known: dict[str, Tensor]
    tables: dict[str, Tensor]
    table_known: dict[str, Tensor]
    targets: dict[str, Target]
    bags: dict[str, Tensor] = field(default_factory=dict)
    bag_known: dict[str, Tensor] = field(default_factory=dict)
    crops: dict[str, Tensor] = field(default_factory=dict)
    crop_known: dict[str, Tensor] = field(default_factory=dict)
    host_visit_known: Tensor | None = None

    def to(self, device: torch.device, pinned: bool = False) -> Batch:
        """Copy all tensors of the batch to another device, through `pinned` memory if that shall not hold up the
        host."""

        def move(d: dict[str, Tensor]) -> dict[str, Tensor]:
            return {k: copy_to_device(v, device, pinned) for k, v in d.items()}

        return replace(
            self,
            visit_known=copy_to_device(self.visit_known, device, pinned),
            day=copy_to_device(self.day, device, pinned),
            whole=move(self.whole),
            patch=move(self.patch),
            channel_known=move(self.channel_known),
            tables=move(self.tables),
            table_known=move(self.table_known),
            targets={k: t.to(device, pinned) for k, t in self.targets.items()},
            bags=move(self.bags),
            bag_known=move(self.bag_known),
            crops=move(self.crops),
            crop_known=move(self.crop_known),
            host_visit_known=None if device.type == "cpu" else self.get_host_visits(),
        )

    def get_host_visits(self) -> Tensor:
        """Return which visits are known, bool `[B, V]`, in host memory."""
        return self.visit_known if self.host_visit_known is None else self.host_visit_known
