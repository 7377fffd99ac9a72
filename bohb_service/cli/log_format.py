"""How a log record reads: as ``time message key=value ...``, or as JSON."""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from bohb_service.log_context import bound
from bohb_service.results.plain import strict

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_BARE = re.compile(r"[^\s\"'=]+")


class KeyValueFormatter(logging.Formatter):
    """``time message key=value ...``; from warnings on with the level before the message, tracebacks behind it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record on one line, and a traceback, if it has one, on the lines below."""
        level = f"{record.levelname} " if record.levelno >= logging.WARNING else ""
        text = f"{_time(record.created)} {level}{one_line(record.getMessage())}"
        pairs = " ".join(f"{key}={_shown(value)}" for key, value in _flat(_extra(record)))
        line = f"{text} {pairs}" if pairs else text
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time``, ``level``, ``logger``, ``message``, and fields of process and record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of strict JSON."""
        fields = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        more = strict({**bound(), **_extra(record)})
        return json.dumps({**fields, **_without(fields, more)}, default=str, allow_nan=False)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller gave as ``extra``."""
    return {key: value for key, value in record.__dict__.items() if key not in _STANDARD}


def _without(taken: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key not in taken}


def _time(created: float) -> str:
    return datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The fields with those of mappings inside as ``key.inner``."""
    for key, value in fields.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: Any) -> str:
    """The value without spaces, or in quotes."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.15g}" if value.is_integer() else f"{value:.6g}"
    text = str(value)
    if _BARE.fullmatch(text) and text.isprintable():
        return text
    return '"' + one_line(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def one_line(text: str) -> str:
    """The text with escapes in place of line ends and other control characters."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
