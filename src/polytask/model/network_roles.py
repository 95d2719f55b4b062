"""Finds the role of every parameter of a network: which losses reach it, see `polytask.model.roles`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polytask.model.common_decoders import COMMON_DECODERS
from polytask.model.order import find_upstream_tasks
from polytask.model.roles import JOINT, ParameterRoles, assign_role, private_role

if TYPE_CHECKING:
    from polytask.model.network import Network


def find_network_roles(network: Network) -> ParameterRoles:
    """Find the role of every parameter of a network."""
    roles: ParameterRoles = {}
    for name, block in network.blocks.items():
        roles |= {f"blocks.members.@{name}.{k}": v for k, v in block.roles().items()}
    for name, reader in network.crops.items():
        roles |= {f"crops.members.@{name}.{k}": v for k, v in reader.roles().items()}
    for part, side in (("vectors", network.vectors), ("voxels", network.voxels)):
        roles |= {f"{part}.{k}": v for k, v in side.roles().items()}
    for part, members in (
        ("branches", network.branches),
        ("films", network.films),
        ("seconds", network.seconds),
        ("gates", network.gates),
        ("embeddings", network.embeddings),
    ):
        for name, module in members.items():
            roles |= assign_role(module, f"{part}.members.@{name}.", private_role(name.split(" ")[0]))
    spec = network.spec
    if spec.decoder in COMMON_DECODERS:
        # The decoder of MTAN reads maps that tables may have modulated for a task, but no map that it has masked.
        own = spec.decoder == "mtan" and spec.sharing == "mtan"
        roles = _join_mixed_roles(network, roles, ("films.",) if own else ("blocks.", "films."))
    if spec.stop_gradient:
        return roles
    read = {private_role(u) for t in network.tasks for u in find_upstream_tasks(t, spec.after)}
    # Only the finest head (0) makes the answer that is handed down: coarser heads stay private.
    coarse = {f"voxels.heads.members.@{t}.heads.{k}." for t in network.voxel for k in range(1, 9)}
    return {n: JOINT if r in read and not n.startswith(tuple(coarse)) else r for n, r in roles.items()}


def _join_mixed_roles(network: Network, roles: ParameterRoles, parts: tuple[str, ...]) -> ParameterRoles:
    """Make joint what a common decoder averages: the loss of each of its tasks reaches the maps of all."""
    for users in network.voxels.list_sharing_tasks():
        mixed = {private_role(t) for t in users}
        roles = {n: JOINT if r in mixed and n.startswith(parts) else r for n, r in roles.items()}
    return roles
