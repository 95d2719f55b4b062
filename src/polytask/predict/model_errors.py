"""Errors inside a model, in words for the person who uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from polytask.errors import PolytaskError


@contextmanager
def attribute_errors_to_model(origin: Path | None) -> Iterator[None]:
    """Turn an error inside an exported model into one line that names its folder; errors of own runs pass."""
    try:
        yield
    # Too little memory is the fault of the machine, not of the model; it is a RuntimeError and would be caught below.
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, LookupError, TypeError, ArithmeticError, AssertionError) as error:
        if origin is None:
            raise
        line = " ".join(str(error).split())[:160] or type(error).__name__
        raise PolytaskError(
            f"{origin}: cannot answer ({line}); its description does not fit its weights; export the model again"
        ) from error
