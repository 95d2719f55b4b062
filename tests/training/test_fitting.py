"""What a fit begins with: a rule that gets to work, seeds by fold, and an optimizer with two kinds of parameters."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from polytask.errors import PolytaskError
from polytask.plan.plan_schema import TrainingPlan
from polytask.training import fitting
from polytask.training.balancing import Balancer
from polytask.training.fitting import apply_time_budget, make_optimizer, refuse_endless_warmup, run_seed
from polytask.training.interrupt import StopSignal
from polytask.training.loop import FitServices
from polytask.training.moving_end import EndEstimate, MovingEnd, read_end_estimates
from polytask.training.state import FitState, load_weights
from tests.model.worlds import network_of, tasks_of
from tests.training.worlds import ALONE, settings_of, state_of


def balancer_of(*tasks: str) -> Balancer:
    return state_of(tasks, settings_of("stch")).balancer


def test_a_rule_whose_warm_up_takes_all_steps_is_refused() -> None:
    settings, balancer = settings_of("stch"), balancer_of("grade", "type")
    warmup = 4 * balancer.rule.warmup  # type: ignore[attr-defined]
    with pytest.raises(PolytaskError, match=f"after a warm-up of {warmup} steps, and the run has {warmup};"):
        refuse_endless_warmup(balancer, settings, warmup)
    refuse_endless_warmup(balancer, settings, warmup + 1)


def test_a_single_task_is_not_balanced_and_needs_no_warm_up() -> None:
    refuse_endless_warmup(balancer_of("grade"), settings_of("stch"), 1)


def test_a_rule_without_warm_up_may_take_a_single_step() -> None:
    refuse_endless_warmup(state_of(["grade", "type"]).balancer, settings_of(), 1)


def test_the_first_fold_keeps_the_seed_and_the_others_have_luck_of_their_own() -> None:
    assert run_seed(3, 0) == 3
    drawn = {run_seed(seed, fold) for seed in range(4) for fold in range(1, 4)}
    assert len(drawn) == 12


def test_only_matrices_and_kernels_decay() -> None:
    network = network_of(tasks_of("visit"), 2)
    optimizer = make_optimizer(network, settings_of(weight_decay=0.25))
    decays = {p: g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert len(decays) == len(list(network.parameters()))
    for name, parameter in network.named_parameters():
        flat = parameter.dim() < 2 or name.endswith(("alpha", "query", "bias"))
        assert decays[parameter] == (0.0 if flat else 0.25), name
    assert isinstance(optimizer, torch.optim.AdamW)


def test_sgd_has_the_momentum_of_nnunet() -> None:
    optimizer = make_optimizer(network_of(tasks_of("visit"), 2), settings_of(optimizer="sgd", rate=0.01))
    assert isinstance(optimizer, torch.optim.SGD)
    assert (optimizer.defaults["momentum"], optimizer.defaults["nesterov"]) == (0.99, True)
    assert optimizer.defaults["lr"] == 0.01


def test_a_rate_is_that_of_the_settings_and_a_decay_that_of_matrices() -> None:
    optimizer = make_optimizer(network_of(tasks_of("visit"), 2), settings_of(rate=0.02, weight_decay=0.25))
    assert {g["lr"] for g in optimizer.param_groups} == {0.02}
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.25, 0.0]
    assert [g["factor"] for g in optimizer.param_groups] == [1.0, 1.0]


def make_context(minutes: float | None, steps: int | None, networks: int = 2) -> Any:
    record = {"minutes": minutes, "steps": steps}
    run = SimpleNamespace(record=record, networks={str(k): [] for k in range(networks)})
    plan = SimpleNamespace(shared=SimpleNamespace(training=settings_of()))
    return SimpleNamespace(run=run, plan=plan, world=ALONE)


def test_a_time_budget_is_shared_by_the_networks_and_turned_into_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[float] = []
    estimate = EndEstimate(50, 3, 9.0, 0.5, 2.0)

    def count(minutes: float, state: Any, batches: Any, tune: Any, settings: TrainingPlan, world: Any) -> Any:
        asked.append(minutes)
        return estimate

    monkeypatch.setattr(fitting, "find_step_budget", count)
    loader: Any = SimpleNamespace(batches=lambda epoch: iter([]))
    anything: Any = None

    def begin(minutes: float | None, steps: int | None, logged: EndEstimate | None = None) -> FitState:
        state = state_of()
        first = apply_time_budget(make_context(minutes, steps), state, loader, anything, logged)
        assert first == (logged or estimate if state.pace else None)
        return state

    state = begin(10.0, None)
    assert (asked, state.schedule.end, state.settings) == ([5.0], 50, {"tune_every": 3})
    assert state.pace == {"spent": 9.0, "per_step": 0.5, "per_tune": 2.0}
    for minutes, steps in ((None, None), (10.0, 7), (None, 7)):
        state = begin(minutes, steps)
        assert (state.schedule.end, state.settings, state.pace) == (8, {}, {})
    state = begin(10.0, None, EndEstimate(60, 2, 8.0, 0.25, 1.0))
    assert (state.schedule.end, state.settings) == (60, {"tune_every": 2})
    assert asked == [5.0], "what the log holds is not measured again"


def test_only_a_time_budget_moves_the_end() -> None:
    def move(minutes: float | None, steps: int | None, state: FitState) -> MovingEnd | None:
        return fitting.make_moving_end(make_context(minutes, steps), state, settings_of(), None, {})

    paced, unpaced, extended = state_of(), state_of(), state_of()
    paced.pace = extended.pace = {"spent": 1.0, "per_step": 1.0, "per_tune": 1.0}
    extended.schedule = extended.schedule.extended(4)
    found = move(10.0, None, paced)
    assert found is not None
    assert found.seconds == 300
    assert move(10.0, 7, paced) is move(None, None, paced) is None
    assert move(10.0, None, unpaced) is None, "a run of an earlier version"
    assert move(10.0, None, extended) is None


class Saved:
    """Stands where a run stands; `last` is a folder or nothing."""

    def __init__(self, folder: Path, saved: Path | None = None) -> None:
        self.folder, self.work, self.saved = folder, folder, saved
        self.record: dict[str, Any] = {
            "name": "r",
            "minutes": None,
            "steps": None,
            "plan": "a plan",
            "init": None,
        }
        self.networks = {"": ["grade", "type"]}

    def find_last_checkpoint(self, name: str) -> Path | None:
        return self.saved

    def best(self, name: str) -> Path:
        return self.folder / "best"

    def last(self, name: str) -> Path:
        return self.folder / "last"


class Watcher:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.can_resume: list[tuple[str, int, int]] = []

    def begin(self, title: str, done: int, total: int) -> None:
        self.can_resume.append((title, done, total))

    def move_end(self, total: int) -> None:
        pass

    def say(self, text: str) -> None:
        self.said.append(text)


def run_fit(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    saved: Path | None = None,
    extend: int = 0,
    minutes: float | None = None,
) -> tuple[Watcher, list[tuple[FitState, FitServices]], list[str]]:
    """What `fit_network` gives to the loop; its network, data and what survival tasks learn are stand-ins."""
    fits: list[tuple[FitState, FitServices]] = []
    learned: list[str] = []
    plan = SimpleNamespace(shared=SimpleNamespace(training=settings_of()))
    run = Saved(folder, saved)
    run.record["minutes"] = minutes
    context: Any = SimpleNamespace(
        run=run,
        plan=plan,
        fold=0,
        seed=0,
        cohort=None,
        store=None,
        world=ALONE,
        plan_hash="a plan",
    )
    monkeypatch.setattr(fitting, "make_state", lambda context, name: state_of())
    monkeypatch.setattr(fitting, "Loader", lambda *a, **k: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(
        fitting, "run_training_loop", lambda state, loader, around: fits.append((state, around))
    )
    monkeypatch.setattr(fitting, "learn_survival", lambda context, name: learned.append(name))
    monkeypatch.setattr(fitting, "lacks_learned_survival", lambda context, name: True)
    watcher: Any = Watcher()
    fitting.fit_network(context, "", extend, StopSignal(), watcher)
    return watcher, fits, learned


def test_a_new_network_is_fitted_from_its_first_step_and_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    watcher, ((state, around),), learned = run_fit(monkeypatch, tmp_path)
    assert watcher.can_resume == [("r", 0, 8)]
    assert (tmp_path / "last" / "state.json").exists(), "what a kill before the first epoch leaves"
    around.keep_best()
    assert set(load_weights(tmp_path / "best")) == set(state.network.state_dict())
    state.average = {k: v + 1 for k, v in state.network.state_dict().items()}
    around.keep_best()
    name, value = next(iter(state.average.items()))
    assert torch.equal(load_weights(tmp_path / "best")[name], value)
    assert learned == []
    around.finish()
    assert learned == [""]


@pytest.mark.parametrize("again", [False, True])
def test_weights_of_another_model_are_taken_at_the_first_start_and_never_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, again: bool
) -> None:
    """A run that goes on has its own weights; the other model may be gone by then."""
    run = Saved(tmp_path, tmp_path / "last" if again else None)
    run.record["init"] = str(tmp_path / "other")
    taken: list[Path] = []
    for name in ("make_tasks", "make_network_spec"):
        monkeypatch.setattr(fitting, name, lambda *_: tasks_of("visit"))
    monkeypatch.setattr(fitting, "make_network", lambda spec, tasks, seed: network_of(tasks, 2))
    monkeypatch.setattr(fitting, "copy_matching_weights", lambda network, source: taken.append(source))
    context: Any = SimpleNamespace(
        run=run,
        plan=SimpleNamespace(shared=SimpleNamespace(training=settings_of()), folds={0: None}),
        cohort=SimpleNamespace(header=SimpleNamespace(tasks={})),
        fold=0,
        seed=0,
        world=ALONE,
    )
    fitting.make_state(context, "")
    assert taken == ([] if again else [tmp_path / "other"])


def save_state(folder: Path, finished: bool) -> Path:
    state = state_of()
    state.step, state.finished, state.stale, state.settings = 8, finished, 3, {"tune_every": 5}
    state.save(folder, "a plan")
    return folder


def test_a_finished_network_is_left_alone_unless_it_is_extended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    watcher, fits, learned = run_fit(monkeypatch, tmp_path, save_state(saved, True))
    assert (fits, learned, watcher.said) == ([], [""], ["r: finished after 8 steps"])
    watcher, ((state, around),), _ = run_fit(monkeypatch, tmp_path, saved, extend=2)
    assert (state.schedule.start, state.schedule.end) == (8, 16)
    assert (state.finished, state.stale, watcher.can_resume) == (False, 0, [("r", 8, 16)])
    assert around.settings.tune_every == 5


def test_a_cut_network_goes_on_within_its_time_budget_and_keeps_the_first_estimate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first estimate is made before the first step; a run that goes on makes and logs none."""
    saved = tmp_path / "saved"
    saved.mkdir()
    state = state_of()
    state.step, state.pace = 3, {"spent": 60.0, "per_step": 1.0, "per_tune": 1.0}
    state.save(saved, "a plan")
    _, ((state, around),), _ = run_fit(monkeypatch, tmp_path, saved, minutes=10.0)
    assert around.moving_end is not None
    assert around.moving_end.seconds == 600
    assert read_end_estimates(tmp_path, "") == {}


def test_a_cut_network_goes_on_with_its_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    _, ((state, around),), learned = run_fit(monkeypatch, tmp_path, save_state(saved, False))
    assert (state.step, state.stale, state.schedule.end) == (8, 3, 8)
    assert (around.settings.tune_every, learned) == (5, [])
