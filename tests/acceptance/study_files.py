"""Study files that the acceptance tests write, and what they read back."""

import json
from pathlib import Path
from typing import Any

import yaml

from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.results.run import load_run
from bohb_service.scheduler.events import Event, TrialCompleted, TrialFailed, TrialRequeued
from bohb_service.scheduler.trial import REFIT_RUNG
from tests.polling import wait_until

OBJECTIVES = Path(__file__).parents[1] / "objectives.py"


def write_study(folder: Path, objective: str = "Quadratic", name: str = "test", **keys: Any) -> Path:
    """A study file of one small cycle, with these keys on top."""
    study = {
        "name": name,
        "worker": f"{OBJECTIVES}:{objective}",
        "fidelity": {"min": 1, "max": 9},
        **keys,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


def decisions(directory: Path) -> list[tuple[Any, ...]]:
    """Everything that was decided and found in a run, without what depends on the clock or on names."""
    return [
        (trial.trial, trial.bracket, trial.budget, trial.config, trial.origin, str(trial.state), trial.loss)
        for trial in load_run(directory).trials
    ]


def events_of(directory: Path, *kinds: type[Event]) -> list[Any]:
    """The events of these kinds that the journal holds, in order."""
    journal = SqliteJournal.open(directory / "journal.sqlite", read_only=True)
    found = [record.event for record in journal.read() if isinstance(record.event, kinds)]
    journal.close()
    return found


def requeues(directory: Path) -> list[TrialRequeued]:
    """Leases that came back without a result."""
    return events_of(directory, TrialRequeued)


def outcomes(directory: Path) -> list[tuple[str, int]]:
    """Trial and lease of each result of the search that the journal holds."""
    results = events_of(directory, TrialCompleted, TrialFailed)
    return [(str(event.trial), event.lease) for event in results if event.trial.rung != REFIT_RUNG]


def status(run_cli: Any, directory: Path) -> dict[str, Any]:
    """What `bohb-master status --json` says."""
    result = run_cli("bohb-master", "status", directory, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def wait_for_results(directory: Path, n: int) -> None:
    """Wait until the journal holds so many results."""
    wait_until(lambda: (directory / "journal.sqlite").exists() and len(outcomes(directory)) >= n, seconds=30)
