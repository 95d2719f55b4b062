from __future__ import annotations

from tests.training.conftest import prepared as prepared
