"""Tables and texts about what `fit` found; each figure is one that the journal of the run holds."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bohb_service.results.rows import TrialResult
from bohb_service.results.run import Run
from bohb_service.scheduler.trial import TrialState

from .evaluated import Chosen

if TYPE_CHECKING:
    import pandas as pd

TypeOf = Callable[[Mapping[str, Any]], str]
"""Tells the kind of model, e.g. the learner, from a configuration."""

_STATUS = {"timeout": "timeout", "memory": "memout"}


def status_of(trial: TrialResult) -> str:
    """``success``, ``timeout``, ``memout``, ``crash``, or the state of a trial that is not over."""
    if trial.state is TrialState.COMPLETED:
        return "success"
    return _STATUS.get(trial.reason, "crash") if trial.state is TrialState.FAILED else str(trial.state)


def leaderboard(run: Run, members: Sequence[Chosen], type_of: TypeOf, *, ensemble_only: bool) -> "pd.DataFrame":
    """All trials that have a result, the best first.

    Args:
        run: The run.
        members: Of the ensemble.
        type_of: Tells the kind of model.
        ensemble_only: Leave out trials that are not in the ensemble.

    Returns:
        The columns ``rank`` (index, from 1), ``ensemble_weight``, ``type``, ``cost`` (the validation loss, NaN for a
        failure), ``duration`` (seconds), ``budget``, ``config_id``, ``trial``, ``status``, ``start_time`` and
        ``end_time`` (seconds since the epoch), ``origin``, ``config``, ``message`` (of a failure).
    """
    import pandas as pd

    weights = {member.trial.trial: member.weight for member in members}
    trials = sorted((trial for trial in run.trials if trial.state.is_final), key=_order)
    rows = [
        {
            "ensemble_weight": weights.get(trial.trial, 0.0),
            "type": type_of(trial.config),
            "cost": _cost(trial),
            "duration": math.nan if trial.seconds is None else trial.seconds,
            "budget": trial.budget,
            "config_id": trial.configuration,
            "trial": trial.trial,
            "status": status_of(trial),
            "start_time": trial.started_at,
            "end_time": math.nan if trial.finished_at is None else trial.finished_at,
            "origin": trial.origin,
            "config": dict(trial.config),
            "message": trial.message,
        }
        for trial in trials
    ]
    index = pd.RangeIndex(1, len(rows) + 1, name="rank")
    frame = pd.DataFrame(rows, index=index, columns=list(_COLUMNS))
    return frame[frame["ensemble_weight"] > 0] if ensemble_only else frame


_COLUMNS = (
    "ensemble_weight",
    "type",
    "cost",
    "duration",
    "budget",
    "config_id",
    "trial",
    "status",
    "start_time",
    "end_time",
    "origin",
    "config",
    "message",
)


def models(members: Sequence[Chosen], type_of: TypeOf) -> list[dict[str, Any]]:
    """The members of the ensemble, heaviest first.

    Args:
        members: Of the ensemble.
        type_of: Tells the kind of model.

    Returns:
        For each: ``ensemble_weight``, ``type``, ``cost``, ``budget``, ``config_id``, ``config``, and ``models``: the
        objects that predict, one for each fold.
    """
    return [
        {
            "ensemble_weight": member.weight,
            "type": type_of(member.trial.config),
            "cost": _cost(member.trial),
            "budget": member.trial.budget,
            "config_id": member.trial.configuration,
            "config": dict(member.trial.config),
            "models": [part.model for part in member.model.members],
        }
        for member in members
    ]


def cv_results(run: Run) -> dict[str, Any]:
    """All trials that have a result, in order of their start, in the form of scikit-learn's searches.

    Returns:
        Arrays, one entry a trial: ``mean_test_score`` (minus the validation loss, NaN for a failure),
        ``rank_test_score``, ``mean_fit_time`` (seconds), ``status``, ``budgets``, ``config_id``, ``params`` (a list)
        and ``param_NAME`` (masked where not active).
    """
    trials = [trial for trial in run.trials if trial.state.is_final]
    scores = np.array([-_cost(trial) for trial in trials], dtype=np.float64)
    known = np.where(np.isnan(scores), -np.inf, scores)
    results: dict[str, Any] = {
        "mean_test_score": scores,
        "rank_test_score": np.array([1 + int((known > score).sum()) for score in known], dtype=np.int64),
        "mean_fit_time": np.array([math.nan if t.seconds is None else t.seconds for t in trials], dtype=np.float64),
        "status": np.array([status_of(trial) for trial in trials], dtype=object),
        "budgets": np.array([trial.budget for trial in trials], dtype=np.float64),
        "config_id": np.array([trial.configuration for trial in trials], dtype=np.int64),
        "params": [dict(trial.config) for trial in trials],
    }
    for name in sorted({name for trial in trials for name in trial.config}):
        results[f"param_{name}"] = np.ma.array(
            [trial.config.get(name) for trial in trials],
            mask=[name not in trial.config for trial in trials],
            dtype=object,
        )
    return results


def summary(run: Run, members: Sequence[Chosen], *, data: str, metric: str) -> str:
    """What was done, in a few lines.

    Args:
        run: The run.
        members: Of the ensemble.
        data: What the rows are.
        metric: Name of the loss.
    """
    final = [trial for trial in run.trials if trial.state.is_final]
    costs = [trial.loss for trial in final if trial.state is TrialState.COMPLETED and trial.loss is not None]
    statuses = [status_of(trial) for trial in final]
    lines = [
        ("Data set", data),
        ("Metric (loss)", metric),
        ("Best validation loss", f"{min(costs):.6g}" if costs else "none"),
        ("Members of the ensemble", len(members)),
        ("Configurations", len({trial.configuration for trial in final})),
        ("Runs", len(final)),
        ("Successes", len(costs)),
        ("Crashes", statuses.count("crash")),
        ("Time-outs", statuses.count("timeout")),
        ("Memory-outs", statuses.count("memout")),
        ("Seconds", f"{run.wall_s:.1f}"),
    ]
    return "\n".join(f"{name}: {value}" for name, value in lines)


def why_nothing(run: Run) -> str:
    """Why no model was learned, and what to do, on one line.

    Args:
        run: The run, without a completed trial that has kept its model.
    """
    groups = run.failures()
    if groups:
        return f"nothing was learned: all {run.count(TrialState.FAILED)} evaluations failed, e.g. {groups[0].message}"
    if run.count(TrialState.COMPLETED):
        return f"nothing was learned: no evaluation in {run.directory} has a whole model; take another run_dir"
    return "nothing was learned: no evaluation was completed in time; raise time_limit, or lower max_budget"


def _cost(trial: TrialResult) -> float:
    return trial.loss if trial.state is TrialState.COMPLETED and trial.loss is not None else math.nan


def _order(trial: TrialResult) -> tuple[bool, float, float]:
    cost = _cost(trial)
    return (math.isnan(cost), 0.0 if math.isnan(cost) else cost, -trial.budget)
