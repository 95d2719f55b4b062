"""Checks whether promises hold for other people than those that fitted them: the test part, or another hospital.

It is the measurement of a model as it predicts, all members together.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polytask.array_types import Floats, Mask
from polytask.inference.pooled_answers import CaseId, PooledAnswers
from polytask.kinds import find_answer_form
from polytask.plain import make_plain
from polytask.statistics.share_interval import find_share_interval
from polytask.tasks.task import Arrays
from polytask.trust.answer_forms import FORMS
from polytask.trust.apply_trust import TrustedColumns
from polytask.trust.class_sets import draw_shares
from polytask.trust.measures.cross_fitted import CrossFitted
from polytask.trust.measures.questions import FIND_CONFIDENCE, list_questions
from polytask.trust.measures.task_measures import measure_reliability
from polytask.trust.trust_remarks import describe_stratum

if TYPE_CHECKING:
    from polytask.evaluation.part_answers import PartAnswers
    from polytask.predict.case_answer import CaseAnswer
    from polytask.predict.predictor import Predictor


class PromiseCheck:
    """Notes what each member says about each case, and judges the promises when the truth is there."""

    def __init__(self, predictor: Predictor):
        assert predictor.promises is not None
        place = predictor.promise_folder or predictor.origin or Path("trust.json")
        self.trusted = TrustedColumns(predictor, predictor.promises, place)
        # Here answers are judged, not inputs.
        predictor.watches_inputs = False
        self.told: dict[str, dict[CaseId, list[Arrays]]] = {name: {} for name in self.trusted.tasks}

    def __call__(self, answer: CaseAnswer) -> None:
        """Note what the members of each fold say about one case."""
        for name in self.told.keys() & answer.pooled.keys():
            own = self.trusted.average_members(answer, name)
            self.told[name][answer.subject, answer.visit] = own

    def judge(self, answers: PartAnswers) -> dict[str, Any]:
        """Judge every task with known truths: task → coverage with n and interval, in all and by class, errors of
        calibration, and what the threshold of `--refer` does here."""
        level = self.trusted.trust.level
        judged = {
            name: self._judge_task(name, answers.pooled[name])
            for name in self.told
            if name in answers.pooled and answers.pooled[name].known.any()
        }
        content: dict[str, Any] = make_plain({"level": level, "tasks": judged} if judged else {})
        return content

    def _judge_task(self, name: str, items: PooledAnswers) -> dict[str, Any]:
        trust, task = self.trusted.trust, self.trusted.tasks[name]
        form_name = find_answer_form(task.kind)
        form, members = FORMS[form_name], trust.tasks[name]
        seen = items.known if items.known.ndim == 1 else items.known.any(1)
        own = items.take(np.flatnonzero(seen))
        told = [self.told[name][case_id] for case_id in own.ids]
        by_fold = [
            {key: np.concatenate([case[k][key] for case in told]) for key in told[0][k]}
            for k in range(len(members))
        ]
        sets = form.make_sets(
            by_fold, [m.scores for m in members], 1 - trust.level, draw_shares(own.ids, name)
        )
        covered, known = (
            form.find_covered(sets, own.value),
            own.known if own.known.ndim == 2 else own.known[:, None],
        )
        subjects = np.array([subject for subject, _ in own.ids])
        sizes = form.measure_size(sets)
        given = self.trusted.calibrate_answers(task, by_fold, own.prediction)
        judged: dict[str, Any] = {
            "coverage": _estimate_share(covered, known, subjects),
            "size": float(sizes[np.isfinite(sizes)].mean()) if np.isfinite(sizes).any() else None,
            "endless": float(np.isinf(sizes).mean()),
            "strata": {
                describe_stratum(stratum, trust.words[name]): _estimate_share(
                    covered, which & known, subjects
                )
                for stratum, which in form.list_strata(own.value).items()
                if (which & known).any()
            },
        }
        if form_name not in FIND_CONFIDENCE:
            return judged
        if "p" in own.prediction:
            fitted = CrossFitted(subjects, own.prediction, given, own.value, own.known)
            judged["calibration"] = {
                word: vars(measure_reliability(form_name, fitted, np.asarray(p, np.float64)).debiased)
                for word, p in (("raw", own.prediction["p"]), ("calibrated", given["p"]))
            }
        measures = trust.measures.get(name)
        rules = {k: a.refer for k, a in measures.answering.items() if a.refer} if measures else {}
        questions = list_questions(form_name, given, np.asarray(own.value, np.float64), own.known, subjects)
        judged["refer"] = {}
        for key, rule in rules.items():
            asked = questions[key]
            answered = rule.is_answered(asked.confidence)
            judged["refer"][trust.words[name][int(key)] if key else ""] = {
                "target": rule.target,
                "n": len(answered),
                "answered": int(answered.sum()),
                "error": float(asked.loss[answered].mean()) if answered.any() else None,
                "error_of_all": float(asked.loss.mean()) if len(answered) else None,
            }
        return judged


def make_promise_check(predictor: Predictor) -> PromiseCheck | None:
    """Make the check of a model; None where it promises nothing."""
    return None if predictor.promises is None else PromiseCheck(predictor)


def _estimate_share(covered: Floats, which: Mask, subjects: Any) -> dict[str, Any]:
    """Estimate a share with its 95 % interval over subjects."""
    names, owner = np.unique(subjects, return_inverse=True)
    hits = np.bincount(owner, (covered * which).sum(1), len(names))
    counts = np.bincount(owner, which.sum(1), len(names))
    low, high = find_share_interval(hits, counts)
    return {"estimate": float(covered[which].mean()), "low": low, "high": high, "n": int(which.sum())}
