"""The norm keeps the precision of its maps."""

from __future__ import annotations

import torch
from torch import nn

from polytask.model.building_blocks import make_norm, normalize_groups


def test_a_norm_on_a_gpu_keeps_the_precision_of_its_maps() -> None:
    """CUDA's kernel wants weights in the precision of the maps; the result is that of float32, rounded."""
    norm = make_norm(16)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.normal_()
    assert isinstance(norm, nn.GroupNorm)
    x = torch.randn(2, 16, 5, 6, dtype=torch.bfloat16)
    found = normalize_groups(x.requires_grad_(), norm)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), norm(x.float()), atol=0.03, rtol=0.03)
    found.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in norm.parameters())
    assert torch.equal(norm(x.detach().float()), nn.GroupNorm.forward(norm, x.detach().float()))
