"""Starts a network from the weights of another run or model."""

from __future__ import annotations

from pathlib import Path

import torch

from polytask.errors import PolytaskError
from polytask.model.network import Network
from polytask.training.folder import Run
from polytask.training.state import load_weights


def copy_matching_weights(network: Network, source: Path) -> int:
    """Copy every tensor whose name and shape agree with one of the network, and return how many were copied.

    Raises:
        PolytaskError: no tensor fits.
    """
    with torch.no_grad():
        copied = 0
        own = network.state_dict()
        # A run of `single` has one file per task; what several files share comes from the last one.
        for weights in _read_source_weights(source):
            for name, value in weights.items():
                if name in own and own[name].shape == value.shape:
                    own[name].copy_(value)
                    copied += 1
    if not copied:
        raise PolytaskError(f"{source}: no weight fits this network by name and shape; choose another --init")
    return copied


def _read_source_weights(source: Path) -> list[dict[str, torch.Tensor]]:
    """Read the weights of all networks of a run, or of the first member of an exported model."""
    if (source / "run.yaml").exists():
        run = Run.read(source)
        return [load_weights(run.find_best_checkpoint(n)) for n in run.networks]
    if (source / "model.json").exists():
        weights = load_weights(source)
        first = next(k.partition("/")[0] for k in weights)
        return [{k.rpartition("/")[2]: v for k, v in weights.items() if k.startswith(f"{first}/")}]
    raise PolytaskError(f"{source}: neither a run (run.yaml) nor a model (model.json)")
