"""Keys of `plan.yaml` that a redesign gave another name: old dotted path → new one, also of everything below it;
`*` stands for any word."""

from __future__ import annotations

NEW_PLAN_KEYS: dict[str, str] = {
    "shared.model.time": "shared.model.visit_fusion",
    "shared.model.sources": "shared.model.input_fusion",
    "shared.training.optimiser": "shared.training.optimizer",
    "folds.*.normalisation": "folds.*.normalization",
}
