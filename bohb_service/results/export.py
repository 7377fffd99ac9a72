"""A run in the forms that other programs read: plain data for JSON, and a pandas table."""

import importlib
from dataclasses import fields
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

from bohb_service.errors import BohbError
from bohb_service.results.plain import strict
from bohb_service.scheduler.trial import TrialState

if TYPE_CHECKING:
    import pandas as pd
    from _typeshed import DataclassInstance

    from bohb_service.results.rows import RungResult, TrialResult
    from bohb_service.results.run import Run


_SHOWN_FAILURES = 20


def run_to_dict(run: "Run") -> dict[str, Any]:
    """The run as plain data; numbers that JSON does not know, e.g. the loss of a failed trial, are None.

    Args:
        run: The run.

    Returns:
        A mapping with these keys; "or None" where there is no such thing yet:

        - ``study``, ``study_id``, ``version``, ``run_directory``: text, the directory as absolute path;
        - ``state``: ``running``, ``refitting``, ``finished`` or ``interrupted``;
        - ``stop_reason``: the stopping rule that ended the search, or None;
        - ``budget``: ``name``, ``min`` and ``max`` of the study's fidelity;
        - ``incumbent``: ``trial``, ``configuration``, ``config``, ``origin``, ``budget``, ``loss``; or None;
        - ``refit``: what the final training returned, or None; ``refit_failure``: why it failed, or None;
        - ``evaluations``: ``started``, ``completed``, ``failed``, ``abandoned``, ``unfinished``;
        - ``per_rung``: a list of ``bracket``, ``rung``, ``budget``, ``size``, ``entered``, ``completed``, ``failed``,
          ``abandoned``, ``running``, ``is_closed``, ``best``;
        - ``failures``: a list of ``reason``, ``count``, ``message``, ``trial``, ``detail``, most frequent first;
        - ``requeues``: number of leases without a result by reason;
        - ``lost_workers``: a list of ``name``, ``reason``, the last ones; ``n_lost_workers``: how often one was lost;
        - ``wall_s``, ``spent``: numbers; ``utilisation``, ``share_from_model``: numbers in [0, 1] or None;
        - ``continuation``: ``promoted`` and ``continued``, numbers of trials, and the budget that was ``saved``;
        - ``trajectory``: the incumbent over time, a list of ``seconds``, ``spent``, ``budget``, ``loss``, ``trial``;
        - ``trials``: a list of ``trial``, ``configuration``, ``bracket``, ``rung``, ``budget``, ``state`` (``queued``,
          ``leased``, ``completed``, ``failed``, ``abandoned``), ``loss``, ``origin``, ``config``, ``attempts``,
          ``worker``, ``started_at``, ``finished_at``, ``seconds``, ``info``, ``reason``, ``message``, ``detail``,
          ``curve`` (a list of ``[step, loss]``), ``continued_from``.
    """
    return {**run_outline(run), "trials": [trial_to_dict(trial) for trial in run.trials]}


def run_outline(run: "Run") -> dict[str, Any]:
    """What `run_to_dict` says, without ``trials``."""
    counts = {state: run.count(state) for state in TrialState}
    fidelity = run.study.fidelity
    data: dict[str, Any] = strict(
        {
            "study": run.name,
            "study_id": run.study_id,
            "version": run.version,
            "run_directory": str(run.directory.absolute()),
            "state": run.state,
            "stop_reason": run.stop_reason,
            "budget": {"name": fidelity.name, "min": fidelity.min, "max": fidelity.max},
            "incumbent": _plain(run.incumbent) if run.incumbent else None,
            "refit": run.refit,
            "refit_failure": run.refit_failure,
            "evaluations": {
                "started": len(run.trials),
                "completed": counts[TrialState.COMPLETED],
                "failed": counts[TrialState.FAILED],
                "abandoned": counts[TrialState.ABANDONED],
                "unfinished": counts[TrialState.QUEUED] + counts[TrialState.LEASED],
            },
            "per_rung": [_plain(rung) for rung in run.rungs],
            "failures": [_plain(group) for group in run.failures()],
            "requeues": run.requeues,
            "lost_workers": [_plain(worker) for worker in run.lost_workers],
            "n_lost_workers": run.n_lost_workers,
            "wall_s": run.wall_s,
            "utilisation": run.utilisation,
            "share_from_model": run.share_from_model,
            "spent": run.spent,
            "continuation": _plain(run.continuation),
            "trajectory": [_plain(point) for point in run.incumbent_trajectory()],
        }
    )
    return data


def trial_to_dict(trial: "TrialResult") -> dict[str, Any]:
    """An item of ``trials`` in `run_to_dict`."""
    data: dict[str, Any] = strict(_plain(trial) | {"state": trial.state.value})
    return data


def _plain(row: "DataclassInstance") -> dict[str, Any]:
    """The fields of a row by name. Their values are not copied, as `asdict` would: `strict` does that."""
    return {name: getattr(row, name) for name in _names(type(row))}


@cache
def _names(kind: "type[DataclassInstance]") -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def run_to_status(run: "Run") -> dict[str, Any]:
    """How far a run is, as far as its journal knows; see `Run.status`."""
    counts = {state: run.count(state) for state in TrialState}
    failed = [trial for trial in run.trials if trial.state is TrialState.FAILED]
    best = run.incumbent
    incumbent = best and {key: value for key, value in _plain(best).items() if key != "configuration"}
    brackets = [list(rungs) for _, rungs in groupby(run.rungs, key=lambda rung: rung.bracket)]
    status: dict[str, Any] = strict(
        {
            "study": run.name,
            "study_id": run.study_id,
            "version": run.version,
            "state": run.state,
            "stop_reason": run.stop_reason,
            "elapsed_s": run.wall_s,
            "eta_s": None,
            "share_done": 1.0 if run.state == "finished" else None,
            "evaluations": {
                "started": len(run.trials),
                "completed": counts[TrialState.COMPLETED],
                "failed": counts[TrialState.FAILED],
                "abandoned": counts[TrialState.ABANDONED],
                "running": counts[TrialState.LEASED],
                "requeued": sum(run.requeues.values()),
            },
            "spent": run.spent,
            "configurations": len(run.configurations),
            "from_model": sum(configuration.origin == "model" for configuration in run.configurations),
            "incumbent": incumbent,
            "refit": run.refit,
            "brackets": [_bracket_status(rungs) for rungs in brackets],
            "min_workers": 0,
            "workers": [],
            "lost_workers": [_plain(worker) for worker in run.lost_workers],
            "unfit": [],
            "foreign_leases": None,
            "failures": [
                {"trial": trial.trial, "reason": trial.reason, "message": trial.message}
                for trial in sorted(failed, key=lambda trial: trial.finished_at or 0.0)[-_SHOWN_FAILURES:]
            ],
        }
    )
    return status


def _bracket_status(rungs: "list[RungResult]") -> dict[str, Any]:
    return {
        "bracket": rungs[0].bracket,
        "is_over": all(rung.is_closed for rung in rungs),
        "rungs": [
            {
                "budget": rung.budget,
                "size": rung.size,
                "best": rung.best,
                "queued": rung.entered - rung.completed - rung.failed - rung.abandoned - rung.running,
                "leased": rung.running,
                "completed": rung.completed,
                "failed": rung.failed,
                "abandoned": rung.abandoned,
            }
            for rung in rungs
        ],
    }


def run_to_dataframe(run: "Run") -> "pd.DataFrame":
    """The trials of a run as a table, one row each, in order of their first lease.

    Args:
        run: The run.

    Returns:
        Columns are the attributes of `TrialResult` from ``trial`` to ``message``, then ``config.<name>`` for every
        hyperparameter and ``info.<name>`` for everything that the objective returned on the first level. The loss is
        infinite for failed trials and missing where there is no result; inactive hyperparameters are missing.

    Raises:
        BohbError: pandas is not installed.
    """
    try:
        pandas = importlib.import_module("pandas")
    except ImportError as error:
        raise BohbError("a table of the trials needs pandas, which is not installed: pip install pandas") from error
    frame: pd.DataFrame = pandas.DataFrame([_row(trial) for trial in run.trials], columns=_columns(run))
    return frame


_SCALARS = (
    "trial",
    "configuration",
    "bracket",
    "rung",
    "budget",
    "state",
    "loss",
    "origin",
    "attempts",
    "worker",
    "started_at",
    "finished_at",
    "seconds",
    "reason",
    "message",
)


def _row(trial: "TrialResult") -> dict[str, Any]:
    row = {name: getattr(trial, name) for name in _SCALARS}
    row["state"] = trial.state.value
    row |= {f"config.{name}": value for name, value in trial.config.items()}
    return row | {f"info.{name}": value for name, value in trial.info.items()}


def _columns(run: "Run") -> list[str]:
    """All columns in order of first appearance, hyperparameters before infos."""
    config = dict.fromkeys(f"config.{name}" for trial in run.trials for name in trial.config)
    info = dict.fromkeys(f"info.{name}" for trial in run.trials for name in trial.info)
    return [*_SCALARS, *config, *info]
