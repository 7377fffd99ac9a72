"""What a user wants to know when a run is over."""

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bohb_service.results.run import Run


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure of the incumbent beside that of the baseline.

    Attributes:
        value: The incumbent's; lower is better.
        baseline: What it is compared with.
        baseline_value: The baseline's figure.
        is_share: Whether both are fractions in [0, 1] that are best read as percentages.
    """

    value: float
    baseline: str
    baseline_value: float
    is_share: bool

    @property
    def gain(self) -> float:
        """By how much the incumbent is better; negative if it is worse."""
        return self.baseline_value - self.value

    @property
    def relative_gain(self) -> float | None:
        """The gain as fraction of the baseline's figure; None where that says nothing (zero, or of another sign)."""
        if self.baseline_value == 0 or self.value * self.baseline_value < 0:
            return None
        return self.gain / abs(self.baseline_value)


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in short.

    Attributes:
        run: The run.
        test_error: Error of the retrained incumbent on data that the search never saw, or None.
        test: The same beside the baseline's, or None.
        validation: The incumbent's loss beside the baseline's, or None.
        notes: What else the final training returned, as far as it is a single value.
        is_all_failed: Whether there are failures and not one result.
        resume: The command that goes on with the run, or None if there is nothing to go on with.
        commands: Commands that a user may want next.
    """

    run: Run
    test_error: float | None
    test: Comparison | None
    validation: Comparison | None
    notes: Mapping[str, Any]
    is_all_failed: bool
    resume: str | None
    commands: tuple[str, ...]


def summary_of(run: Run, *, interrupted: bool = False, file: Path | None = None, n_workers: int = 0) -> Summary:
    """The summary of a run.

    By convention the final training returns ``test_error``, a fraction, and ``baseline``, a mapping of ``name``,
    ``test_error`` and ``validation_loss``; whatever of it is missing or no finite number is left out.

    Args:
        run: The run.
        interrupted: Whether its master is known to have ended before the study, whatever the directory says.
        file: The study file, for the command that goes on with the run; a placeholder if unknown.
        n_workers: Number of local workers, for the same command.
    """
    refit = run.refit or {}
    baseline = refit.get("baseline")
    baseline = baseline if isinstance(baseline, Mapping) else {}
    name = str(baseline.get("name", "the baseline"))
    test_error = _number(refit.get("test_error"))
    directory = shlex.quote(str(run.directory))
    study_file = shlex.quote(str(file)) if file is not None else "STUDY_FILE"
    workers = f" --workers {n_workers}" if n_workers else ""
    can_resume = interrupted or run.state == "interrupted"
    return Summary(
        run=run,
        test_error=test_error,
        test=_comparison(test_error, name, baseline.get("test_error"), is_error=True),
        validation=_comparison(
            run.incumbent.loss if run.incumbent else None, name, baseline.get("validation_loss"), is_error=False
        ),
        notes={
            key: value
            for key, value in refit.items()
            if key not in {"test_error", "baseline"} and isinstance(value, str | int | float)
        },
        is_all_failed=run.incumbent is None and bool(run.failures()),
        resume=f"bohb-master run {study_file} --run-dir {directory}{workers}" if can_resume else None,
        commands=(f"bohb-master results {directory} --json",),
    )


def _comparison(value: float | None, baseline: str, other: Any, *, is_error: bool) -> Comparison | None:
    baseline_value = _number(other)
    if value is None or baseline_value is None:
        return None
    is_share = is_error and 0 <= value <= 1 and 0 <= baseline_value <= 1
    return Comparison(value, baseline, baseline_value, is_share)


def _number(value: Any) -> float | None:
    """The value as a finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
