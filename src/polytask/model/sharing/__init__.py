"""Which features each task sees: one file per sharing block, one registry.

A block is built once per image input and turns images into one pyramid per task. To add one, write the file and name it
here. The shared battery of tests finds it by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from torch import Tensor
from torch.nn import Parameter

from polytask.errors import PolytaskError, suggest_word
from polytask.model.building_blocks import EncoderSpec, TaskCut
from polytask.model.roles import ParameterRoles
from polytask.model.sharing.cross_stitch import make_cross_stitch
from polytask.model.sharing.ctan import CTAN
from polytask.model.sharing.hard import HardSharing
from polytask.model.sharing.mmoe import MixtureOfExperts
from polytask.model.sharing.mtan import MTAN
from polytask.model.sharing.nddr import make_nddr
from polytask.model.sharing.ple import ProgressiveExperts
from polytask.model.sharing.single import SeparateEncoders
from polytask.model.sharing.task_film import TaskConditionedEncoder
from polytask.model.sharing.task_tokens import TaskTokens

SharedPyramid = list[Tensor | None]
LevelNeeds = Mapping[str, frozenset[int]]
"""Task → the levels (0 = finest) that it reads; the deepest level is always one of them."""


class SharingBlock(Protocol):
    """An `nn.Module` built as `Block(spec, needs)`, or `Block(spec, needs, form)` if the class has `forms`.

    A class may also have `rates`: prefix of parameter names → factor on their learning rate. It is `branched` if behind
    a common encoder each task has modules that no other reads: its call takes `rows` too, and the pyramid of a task has
    only the rows named for it. And
    `list_finest_parts(task)`: prefixes of what, behind the cut, only the finest level of a task is made with.
    """

    channels: tuple[int, ...]
    interacts: bool
    """Whether, behind the cut, the branch of another task reaches the loss of a task."""

    def __call__(self, x: Tensor, tasks: Sequence[str], cut: TaskCut) -> dict[str, SharedPyramid]:
        """Turn `[N, planes, *space]` into a pyramid for each of `tasks`, with None at levels that the task does not
        need.

        `tasks` may be some of the tasks that the block was built with; the answer of a task does not depend on which.
        """

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Give names and parameters, as every module does."""

    def roles(self) -> ParameterRoles:
        """Return the role of every parameter."""


SHARINGS: dict[str, Callable[..., SharingBlock]] = {
    "hard": HardSharing,
    "single": SeparateEncoders,
    "cross_stitch": make_cross_stitch,
    "nddr": make_nddr,
    "mmoe": MixtureOfExperts,
    "ple": ProgressiveExperts,
    "mtan": MTAN,
    "ctan": CTAN,
    "task_tokens": TaskTokens,
    "task_film": TaskConditionedEncoder,
}


def list_forms(name: str) -> tuple[str, ...]:
    """List the forms in which a block exists, the default first."""
    forms: tuple[str, ...] = getattr(SHARINGS[name], "forms", ("light",))
    return forms


def make_block(name: str, spec: EncoderSpec, needs: LevelNeeds, form: str = "light") -> SharingBlock:
    """Make the sharing block `name` in `form`, for one image input."""
    if name not in SHARINGS:
        raise PolytaskError(f"no sharing is called {name!r}: {suggest_word(name, SHARINGS, 'choose from')}")
    if form not in list_forms(name):
        raise PolytaskError(
            f"sharing {name!r} has no form {form!r}: choose from {', '.join(list_forms(name))}"
        )
    block = SHARINGS[name]
    return block(spec, needs, form) if hasattr(block, "forms") else block(spec, needs)
