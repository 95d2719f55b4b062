"""Finds the role of every parameter of a network: which losses reach it, see `polytask.model.roles`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from polytask.model.building_blocks import Decoder
from polytask.model.decoders import decodes_at_once
from polytask.model.order.logits import list_coarse_levels
from polytask.model.roles import JOINT, ParameterRoles, assign_role, choose_owner_role, private_role
from polytask.model.shared_trunk import find_stem_roles
from polytask.task_chains import find_upstream_tasks

if TYPE_CHECKING:
    from polytask.model.network import Network
    from polytask.model.task_branches import VoxelBranch


def find_network_roles(network: Network) -> ParameterRoles:
    """Find the role of every parameter of a network."""
    roles: ParameterRoles = {}
    for name, block in network.blocks.items():
        roles |= {f"blocks.members.@{name}.{k}": v for k, v in block.roles().items()}
    roles |= find_stem_roles(network)
    for name, reader in network.crops.items():
        roles |= {f"crops.members.@{name}.{k}": v for k, v in reader.roles().items()}
    roles |= {f"vectors.{k}": v for k, v in network.vectors.roles().items()}
    roles |= {f"voxels.{k}": v for k, v in _find_voxel_roles(network.voxels).items()}
    for name, second in network.seconds.items():
        roles |= assign_role(
            second, f"seconds.members.@{name}.", choose_owner_role(network.chain.list_second_readers(name))
        )
    for part, members in (
        ("branches", network.branches),
        ("films", network.films),
        ("gates", network.gates),
        ("modulations", network.modulations),
        ("embeddings", network.embeddings),
        ("second_levels", network.second_levels),
        ("slices", network.slices),
    ):
        for name, module in members.items():
            roles |= assign_role(module, f"{part}.members.@{name}.", private_role(name.split(" ")[0]))
    roles = _join_level_roles(network, roles)
    spec = network.spec
    if decodes_at_once(spec.decoder):
        # The decoder of MTAN reads maps that tables may have modulated for a task, but no map that it has masked.
        own = spec.decoder == "mtan" and spec.sharing == "mtan"
        roles = _join_mixed_roles(network, roles, ("films.",) if own else ("blocks.", "films."))
    if spec.stop_gradient:
        return roles
    read = {private_role(u) for t in network.tasks for u in find_upstream_tasks(t, spec.after)}
    alone = tuple(_list_parts_read_by_nobody(network))
    return {n: JOINT if r in read and not n.startswith(alone) else r for n, r in roles.items()}


def find_rate_factors(network: Network) -> dict[str, float]:
    """Find factors on the learning rate, by parameter, where a sharing block asks for one."""
    factors_by_parameter: dict[str, float] = {}
    for name, block in network.blocks.items():
        factor_by_prefix: Mapping[str, float] = getattr(block, "rates", {})
        for parameter, _ in block.named_parameters():
            factors = [f for prefix, f in factor_by_prefix.items() if parameter.startswith(prefix)]
            factors_by_parameter |= {f"blocks.members.@{name}.{parameter}": f for f in factors}
    return factors_by_parameter


def _find_voxel_roles(voxels: VoxelBranch) -> ParameterRoles:
    """Find the roles in the branches of voxel tasks: a decoder belongs to the tasks that use it, heads to theirs."""
    roles: ParameterRoles = {}
    for key, decoder in voxels.decoders.items():
        users = voxels.list_decoder_users(key)
        if not isinstance(decoder, Decoder):
            roles |= {f"decoders.members.@{key}.{n}": r for n, r in decoder.roles().items()}
        else:
            roles |= assign_role(decoder, f"decoders.members.@{key}.", choose_owner_role(users))
        if key in voxels.enlargers:
            step = voxels.enlargers[key]
            roles |= assign_role(step, f"enlargers.members.@{key}.", choose_owner_role(users))
    for name, heads in voxels.heads.items():
        roles |= assign_role(heads, f"heads.members.@{name}.", private_role(name))
    return roles


def _list_parts_read_by_nobody(network: Network) -> Iterator[str]:
    """Yield, as prefixes of parameter names, the parts of voxel tasks that make nothing that is handed down.

    The finest head makes the answer that is handed down, coarser heads the coarse logits. No coarse logits come from
    the last step to the finest maps.
    """
    chain, voxels = network.chain, network.voxels
    coarse_only = set()
    for task in network.voxel:
        count = len(voxels.heads[task].heads)
        read = {0} if task in chain.upstream else set[int]()
        read |= set(list_coarse_levels(count)) if task in chain.coarse else set()
        yield from (f"voxels.heads.members.@{task}.heads.{k}." for k in range(count) if k not in read)
        if read and 0 not in read:
            coarse_only.add(task)
    own_finest = [t for t in coarse_only if voxels.keys[t] not in voxels.enlargers]
    yield from _list_finest_parts_of_block(network, own_finest)
    for key, decoder in voxels.decoders.items():
        users = voxels.list_decoder_users(key)
        alone = len(users) == 1 and users[0] in coarse_only
        if key in voxels.enlargers:
            yield from ([f"voxels.enlargers.members.@{key}."] if alone else ())
        elif isinstance(decoder, Decoder):
            yield from ([f"voxels.decoders.members.@{key}.steps.{len(decoder.steps) - 1}."] if alone else ())
        else:
            own = (part for t in coarse_only & set(users) for part in decoder.list_finest_parts(t))
            yield from (f"voxels.decoders.members.@{key}.{part}" for part in own)


def _join_mixed_roles(network: Network, roles: ParameterRoles, parts: tuple[str, ...]) -> ParameterRoles:
    """Make joint what a common decoder mixes: the loss of each of its tasks reaches the maps of all."""
    voxels = network.voxels
    for key, decoder in voxels.decoders.items():
        users = voxels.list_decoder_users(key)
        if isinstance(decoder, Decoder) or len(users) < 2:
            continue
        kept = () if decoder.mixes_finest else tuple(_list_finest_parts_of_block(network, users))
        mixed = {private_role(t) for t in users}
        roles = {
            n: JOINT if r in mixed and n.startswith(parts) and not n.startswith(kept) else r
            for n, r in roles.items()
        }
    return roles


def _list_finest_parts_of_block(network: Network, tasks: Iterable[str]) -> Iterator[str]:
    """Yield, as prefixes of parameter names, what a sharing block makes only the finest maps of voxel tasks with."""
    for task in tasks:
        if (name := network.block_names.get(network.spec.voxel_image[task])) is not None:
            parts = getattr(network.blocks[name], "list_finest_parts", None)
            yield from (f"blocks.members.@{name}.{part}" for part in (parts(task) if parts else ()))


def _join_level_roles(network: Network, roles: ParameterRoles) -> ParameterRoles:
    """Make joint what the tasks of a shared second level put into it: everything of theirs but their heads."""
    for group in network.levels.values():
        owners = {private_role(t) for t in group}
        heads = tuple(f"branches.members.@{t}.head." for t in group)
        if len(group) > 1:
            roles = {n: JOINT if r in owners and not n.startswith(heads) else r for n, r in roles.items()}
    return roles
