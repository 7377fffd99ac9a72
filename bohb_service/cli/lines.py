"""Log lines: one line an event on stderr, as ``time message key=value ...`` or as JSON.

Both commands use it, and the parent process of a worker too, so it imports next to nothing.
"""

import logging
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, assert_never

from bohb_service.cli.log_format import JsonFormatter, KeyValueFormatter
from bohb_service.line_rate import LineRate
from bohb_service.scheduler.events import (
    BracketOpened,
    ConfigurationSuggested,
    Event,
    MasterStarted,
    RungClosed,
    StudyReopened,
    StudyStopped,
    TrialAbandoned,
    TrialCompleted,
    TrialFailed,
    TrialLeased,
    TrialRequeued,
    WarmStarted,
    WorkerJoined,
    WorkerLeft,
    WorkerPlaced,
)
from bohb_service.scheduler.trial import REFIT_RUNG

if TYPE_CHECKING:
    from bohb_service.scheduler.state import StudyState


def configure_logging(*, as_json: bool | None = None, level: int | str = logging.INFO) -> None:
    """Let all loggers of this package write to stderr; a second call replaces the first. Others are left alone.

    Args:
        as_json: One JSON object a line instead of ``time message key=value ...``; None: where stderr is no terminal.
        level: Least level that is written.
    """
    logger = logging.getLogger("bohb_service")
    for handler in [handler for handler in logger.handlers if isinstance(handler, _StderrHandler)]:
        logger.removeHandler(handler)
    handler = _StderrHandler()
    if as_json is None:
        as_json = not sys.stderr.isatty()
    handler.setFormatter(JsonFormatter() if as_json else KeyValueFormatter())
    logger.addHandler(handler)
    logger.setLevel(level)
    # Whoever configures the root logger as well would see every line twice.
    logger.propagate = False


class _StderrHandler(logging.Handler):
    """Writes to what `sys.stderr` is at that moment: a live view may have put itself in between."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - as every handler of the standard library does
            self.handleError(record)


_FREQUENT: dict[type[Event], str] = {
    TrialLeased: "started",
    TrialCompleted: "completed",
    TrialFailed: "failed",
    TrialRequeued: "requeued",
    TrialAbandoned: "abandoned",
    RungClosed: "rungs",
    BracketOpened: "brackets",
}


class EventLines:
    """Turns events into log lines of the logger ``bohb_service.events``; called with what the master has committed.

    A new incumbent gets a line of its own. Lost workers, lost and failed trials are warnings, suggestions debug lines.
    Where there are more events than anybody reads, most lines about trials and rungs are left out and counted.

    Args:
        state: The study before the first of these events. It is followed, not copied: the events of later calls are
            in it already, and perhaps more.
    """

    def __init__(self, state: "StudyState") -> None:
        self._log = logging.getLogger("bohb_service.events")
        self._state = state
        best = state.incumbent
        self._best = (-best.budget, best.loss) if best is not None else None
        self._rate = LineRate()

    def __call__(self, entries: Sequence[tuple[float, Event]]) -> None:
        """Log events.

        Args:
            entries: Pairs of time (seconds since the epoch) and event.
        """
        shows_suggestions = self._log.isEnabledFor(logging.DEBUG)
        for at, event in entries:
            kind = _FREQUENT.get(type(event))
            if kind is not None:
                is_wanted = self._rate.allows(at, kind)
            else:
                is_wanted = shows_suggestions or type(event) is not ConfigurationSuggested
            if is_wanted:
                self._write(at, *self._describe(event))
            if isinstance(event, TrialCompleted):
                self._follow_incumbent(at, event)
            if (left_out := self._rate.take_left_out(at)) is not None:
                self._write(at, logging.INFO, "lines left out", left_out)

    def _write(self, at: float, level: int, message: str, fields: Mapping[str, Any]) -> None:
        if self._log.isEnabledFor(level):
            record = self._log.makeRecord(self._log.name, level, __file__, 0, message, (), None, extra=fields)
            record.created = at
            self._log.handle(record)

    def _describe(self, event: Event) -> tuple[int, str, dict[str, Any]]:
        """Level, message and fields of the line of an event."""
        match event:
            case MasterStarted() | WorkerJoined() | WorkerLeft() | WorkerPlaced():
                return self._describe_presence(event)
            case WarmStarted(observations):
                return logging.INFO, "warm start", {"observations": len(observations)}
            case BracketOpened(bracket, rungs):
                plan = ",".join(f"{rung.size}@{rung.budget:g}" for rung in rungs)
                return logging.INFO, "bracket opened", {"bracket": bracket, "rungs": plan}
            case ConfigurationSuggested(number, values, origin):
                return (
                    logging.DEBUG,
                    "configuration suggested",
                    {"configuration": number, "origin": origin, "config": dict(values)},
                )
            case RungClosed(bracket, rung, promoted):
                return logging.INFO, "rung closed", {"bracket": bracket, "rung": rung, "promoted": len(promoted)}
            case StudyStopped(reason):
                return logging.INFO, "search stopped", {"reason": reason}
            case StudyReopened():
                return logging.INFO, "search goes on", {}
            case TrialLeased() | TrialCompleted() | TrialFailed() | TrialRequeued() | TrialAbandoned():
                return self._describe_trial(event)
            case _:
                assert_never(event)

    def _describe_presence(
        self, event: MasterStarted | WorkerJoined | WorkerLeft | WorkerPlaced
    ) -> tuple[int, str, dict[str, Any]]:
        match event:
            case MasterStarted(version, host, pid):
                return logging.INFO, "master started", {"version": version, "host": host, "pid": pid}
            case WorkerJoined(worker, host, pid, version):
                fields = {"worker": worker, "host": host, "pid": pid, "version": version}
                return logging.INFO, "worker joined", fields
            case WorkerLeft(worker, reason, is_lost):
                level, message = (logging.WARNING, "worker lost") if is_lost else (logging.INFO, "worker left")
                return level, message, {"worker": worker, "reason": reason}
            case WorkerPlaced(worker, place):
                return logging.DEBUG, "worker keeps directories of its own", {"worker": worker, "place": place}
            case _:
                assert_never(event)

    def _describe_trial(
        self, event: TrialLeased | TrialCompleted | TrialFailed | TrialRequeued | TrialAbandoned
    ) -> tuple[int, str, dict[str, Any]]:
        subject = "retraining" if event.trial.rung == REFIT_RUNG else "trial"
        match event:
            case TrialLeased(_, _, _, _, attempt, worker):
                fields = self._place(event) | {"attempt": attempt, "worker": worker}
                return logging.INFO, f"{subject} started", fields
            case TrialCompleted(_, _, loss, info, seconds):
                fields = self._place(event)
                if event.trial.rung != REFIT_RUNG:
                    fields["loss"] = loss
                elif isinstance(test_error := info.get("test_error"), int | float):
                    fields["test_error"] = test_error
                return (
                    logging.INFO,
                    f"{subject} completed",
                    fields | {"seconds": seconds, "worker": self._holder(event)},
                )
            case TrialFailed(_, _, reason, message, _, seconds):
                fields = self._place(event) | {"reason": reason, "error": message, "seconds": seconds}
                return logging.WARNING, f"{subject} failed", fields | {"worker": self._holder(event)}
            case TrialRequeued(_, _, reason, message):
                level = logging.WARNING if reason == "lost" else logging.INFO
                fields = self._place(event) | {"reason": reason, "why": message, "worker": self._holder(event)}
                return level, f"{subject} requeued", fields
            case TrialAbandoned(_, _, reason, message):
                fields = self._place(event) | {"reason": reason, "why": message, "worker": self._holder(event)}
                return logging.WARNING, f"{subject} abandoned", fields
            case _:
                assert_never(event)

    def _place(
        self, event: TrialLeased | TrialCompleted | TrialFailed | TrialRequeued | TrialAbandoned
    ) -> dict[str, Any]:
        """Which trial it is, and where."""
        trial = self._state.trials[event.trial]
        place = {"trial": str(event.trial), "lease": event.lease}
        if event.trial.rung != REFIT_RUNG:
            place["bracket"] = trial.bracket
        return {**place, "budget": trial.budget}

    def _holder(self, event: TrialCompleted | TrialFailed | TrialRequeued | TrialAbandoned) -> str:
        return self._state.holders[event.lease]

    def _follow_incumbent(self, at: float, event: TrialCompleted) -> None:
        if event.trial.rung == REFIT_RUNG:
            return
        budget = self._state.trials[event.trial].budget
        if self._best is not None and (-budget, event.loss) >= self._best:
            return
        self._best = (-budget, event.loss)
        configuration = self._state.configurations[event.trial.configuration]
        fields = {
            "trial": str(event.trial),
            "budget": budget,
            "loss": event.loss,
            "origin": configuration.origin,
            "config": dict(configuration.values),
        }
        self._write(at, logging.INFO, "incumbent changed", fields)
