from __future__ import annotations

import torch

from polytask.model.autocast import make_autocast


def test_half_precision_is_used_where_the_plan_says_so() -> None:
    for precision, dtype in (("bf16", torch.bfloat16), ("float32", torch.float32)):
        with make_autocast(precision, torch.device("cpu")):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
