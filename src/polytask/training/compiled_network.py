"""Compiles the parts of a network that take nearly all of a training step (`training.compile`).

Compiled are the stages of encoders and the steps of decoders, each by itself: they turn tensors into tensors, whatever
tasks a batch has, while around them the forward pass depends on which visits and tasks are known. The modules stay
where they are, so that names of parameters, checkpoints and exported models are those of a network that is not
compiled.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from polytask.documents.document_errors import shorten_message
from polytask.errors import PolytaskError
from polytask.model.building_blocks import EncoderStage, UpStep
from polytask.model.network import Network

COMPILE_BACKEND = "inductor"
"""Backend of `torch.compile`; tests choose one that needs no compiler."""
COMPILED_PARTS = (EncoderStage, UpStep)
MAX_COMPILED_FORMS = 10_000
"""So many forms of inputs may be compiled of all parts together: in practice no part ever falls back to the plain one,
which would depend on the forms that came before, so that a resumed run would differ in the last digits."""


@dataclass(frozen=True)
class CompiledForward:
    """Forward pass of a part: compiled where gradients are taken, plain in evaluation, which sees many forms.

    Args:
        part: the module. plain: its own forward pass. compiled: the same, compiled.
    """

    part: nn.Module
    plain: Callable[..., Any]
    compiled: Callable[..., Any]

    def __call__(self, *inputs: Any) -> Any:
        """Compute the outputs of the part."""
        if not (self.part.training and torch.is_grad_enabled()):
            return self.plain(*inputs)
        try:
            return self.compiled(*inputs)
        except torch._dynamo.exc.TorchDynamoException as error:
            raise PolytaskError(
                f"training.compile: {type(self.part).__name__} cannot be compiled here ({shorten_message(error)}); "
                "train with --set training.compile=false"
            ) from None


def compile_network(network: Network, device: torch.device) -> int:
    """Compile the parts of a network in place, and return how many there are.

    They are translated when they first run, and once more for each further form of their inputs. A form is compiled for
    its exact sizes, because kernels for variable sizes depend on which sizes came first: a resumed run would differ.

    Raises:
        PolytaskError: `torch.compile` does not work here.
    """
    require_compiler(device)
    # The compiler looks at `.grad` of the maps that go into a part, which torch warns of.
    warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf", UserWarning)
    config: Any = torch._dynamo.config
    config.recompile_limit = config.accumulated_recompile_limit = MAX_COMPILED_FORMS
    parts = [m for m in network.modules() if isinstance(m, COMPILED_PARTS)]
    for part in parts:
        plain = part.forward
        # Without side effects on the module: `forward` is found on the object before it is found on its class.
        part.__dict__["forward"] = CompiledForward(part, plain, _compile_function(plain))
    return len(parts)


def require_compiler(device: torch.device) -> None:
    """Compile and run a small function.

    Raises:
        PolytaskError: that failed; it says what the device needs.
    """
    try:
        _compile_function(_double_sine)(torch.ones(4, device=device))
    except Exception as error:  # whatever is missing, from the compiler to its headers
        needed = "triton" if device.type == "cuda" else "a C++ compiler"
        raise PolytaskError(
            f"training.compile: torch.compile does not work on {device.type} here ({shorten_message(error)}); install "
            f"{needed}, or train with --set training.compile=false"
        ) from None


def _compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
    compiled: Callable[..., Any] = torch.compile(
        function, fullgraph=True, dynamic=False, backend=COMPILE_BACKEND
    )
    return compiled


def _double_sine(x: torch.Tensor) -> torch.Tensor:
    return 2 * x.sin()
