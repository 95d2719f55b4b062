"""The table of PPV and NPV at a stated prevalence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polytask.errors import PolytaskError
from polytask.report.predictive_value_tables import build_predictive_value_tables, parse_stated_prevalences
from polytask.report.report_material import ReportMaterial
from tests.report.test_reference_tables import with_everything


def test_a_point_and_the_plain_answer_have_their_values(flat: ReportMaterial) -> None:
    """Sensitivity and specificity are 0.9: at 10 % half of the alarms are right, and 0.81 of 0.82 all-clears."""
    material = with_everything(flat)
    assert build_predictive_value_tables(material, "response") == []
    stated = parse_stated_prevalences(["response=0.1", "findings.effusion=0.2"], material.tasks)
    material = replace(material, prevalences=stated)
    (table,) = build_predictive_value_tables(material, "response")
    assert "at a prevalence of 0.1" in table.title
    assert [words for words, _ in table.rows] == ["sensitivity 0.9, threshold 0.210", "plain answer"]
    assert [cell.value for cell in table.rows[0][1]] == ["0.900", "0.900", "0.500", "0.988"]
    (label,) = build_predictive_value_tables(material, "findings")
    assert [words for words, _ in label.rows] == ["plain answer"]
    assert build_predictive_value_tables(material, "grade") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("response=estimate", "made for a stated prevalence; give a share such as 0.08"),
        ("response=1.2", "above 0 and below 1"),
        ("grade=G1:0.5,G2:0.3,G3:0.2", "no task with two classes or labels"),
        ("diameter=0.2", "only frequencies of classes"),
    ],
)
def test_what_has_no_predictive_value_is_refused_in_one_line(
    flat: ReportMaterial, text: str, said: str
) -> None:
    with pytest.raises(PolytaskError, match=said) as error:
        parse_stated_prevalences([text], flat.tasks)
    assert "\n" not in str(error.value)
