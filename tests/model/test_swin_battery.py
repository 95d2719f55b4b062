"""The battery of sharing blocks once more, with the transformer encoder in place of the residual one."""

from __future__ import annotations

from typing import Any

import pytest

from polytask.model.building_blocks import EncoderSpec
from tests.model import worlds
from tests.model.test_sharing import (  # noqa: F401
    test_any_size_passes,
    test_batch_of_one,
    test_eval_is_deterministic_and_cases_do_not_see_each_other,
    test_measured_roles_equal_declared_ones,
    test_one_task_trains,
    test_padded_visits_do_not_matter,
    test_permuting_tasks_permutes_outputs,
    test_shapes,
    test_shared_decoder_is_joint,
    test_state_dict_round_trip,
    test_trunk_gradient_at_the_cut_is_that_of_the_summed_loss,
)

pytestmark = pytest.mark.parametrize(("sharing", "form"), [("task_tokens", "light"), ("mtan", "paper")])


@pytest.fixture(autouse=True)
def _use_swin_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    def make_spec(*topology: Any) -> EncoderSpec:
        return EncoderSpec(*topology[:7], encoder="swin")

    monkeypatch.setattr(worlds, "EncoderSpec", make_spec)
