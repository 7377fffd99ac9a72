"""What an evaluation's end means: a returned value or a raised exception as an outcome."""

import reprlib
import traceback
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import msgpack

from bohb_service.scheduler.outcomes import Completed, Curve, Failed, FailureReason, Outcome
from bohb_service.worker.plain import MAX_PACKED_BYTES, UnserialisableError, plain_text, to_plain, type_name

MAX_MESSAGE_CHARACTERS = 300
MAX_DETAIL_BYTES = 8000

_EXPECTED = "return the loss as a number, or {'loss': number, 'info': {...}}"
_OWN_FOLDER = str(Path(__file__).parent)


class _UnfitError(Exception):
    """A returned value is no result."""

    def __init__(self, reason: FailureReason, message: str) -> None:
        super().__init__(message)
        self.reason: FailureReason = reason


def judge_result(value: Any, seconds: float, curve: Curve, continued_from: float = 0.0) -> Outcome:
    """The outcome of a `compute` that returned.

    Keys beside ``loss`` and ``info`` are added to the info, and an info that is no mapping is kept as
    ``{"value": info}``: a long evaluation is not thrown away for the shape of its notes.

    Args:
        value: What it returned.
        seconds: How long it took.
        curve: Points that it reported.
        continued_from: The budget that it did not spend again.
    """
    try:
        if isinstance(value, Mapping):
            loss, info = _loss_of_mapping(value), _info(value)
        else:
            loss, info = _loss(value, "no loss"), {}
    except _UnfitError as unfit:
        return Failed(unfit.reason, str(unfit), seconds=seconds, curve=curve)
    try:
        spared = max(0.0, float(continued_from))
    except (TypeError, ValueError):
        spared = 0.0
    return Completed(loss, info, seconds, curve, spared if isfinite(spared) else 0.0)


def judge_refit(value: Any, seconds: float, curve: Curve) -> Outcome:
    """The outcome of a `refit` that returned: its mapping as info.

    A refit is never ranked, so its loss only has to be finite: ``loss`` or else ``test_error`` of the
    mapping where that is a finite number, otherwise 0.

    Args:
        value: What it returned.
        seconds: How long it took.
        curve: Points that it reported.
    """
    try:
        info = _checked_info(_mapping(value))
    except _UnfitError as unfit:
        return Failed(unfit.reason, str(unfit), seconds=seconds, curve=curve)
    figures = (info.get("loss"), info.get("test_error"))
    finite = (float(figure) for figure in figures if isinstance(figure, int | float) and isfinite(figure))
    return Completed(next(finite, 0.0), info, seconds, curve)


def judge_exception(error: BaseException, seconds: float, curve: Curve) -> Failed:
    """The outcome of an evaluation that raised.

    Args:
        error: What was raised.
        seconds: How long it had taken.
        curve: Points reported before.
    """
    if isinstance(error, SystemExit):
        code = "" if error.code is None else shown(error.code)
        return Failed("exit", f"the objective called sys.exit({code})", trace_of(error), seconds, curve)
    return Failed("exception", message_of(error), trace_of(error), seconds, curve)


def message_of(error: BaseException) -> str:
    """Type and text of an exception on one line."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - the text is made by user code
        text = "(its text cannot be shown)"
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return plain_text(line if len(line) <= MAX_MESSAGE_CHARACTERS else line[: MAX_MESSAGE_CHARACTERS - 3] + "...")


def trace_of(error: BaseException) -> str:
    """The traceback from the user's first frame on, at most `MAX_DETAIL_BYTES` long."""
    summary = traceback.TracebackException.from_exception(error)
    while len(summary.stack) > 1 and summary.stack[0].filename.startswith(_OWN_FOLDER):
        del summary.stack[0]
    return shorten("".join(summary.format()))


def shorten(text: str) -> str:
    """The text, without its middle where it is longer than `MAX_DETAIL_BYTES`."""
    encoded = plain_text(text).encode()
    if len(encoded) <= MAX_DETAIL_BYTES:
        return encoded.decode()
    head, tail = encoded[: MAX_DETAIL_BYTES // 4], encoded[-(MAX_DETAIL_BYTES * 3 // 4 - 16) :]
    return f"{head.decode(errors='ignore')}\n[...]\n{tail.decode(errors='ignore')}"


def shown(value: Any) -> str:
    """The value for a message, at most 80 characters."""
    try:
        text = reprlib.repr(value)
    except Exception:  # noqa: BLE001 - reprs are user code
        text = f"<{type_name(value)}>"
    return plain_text(text if len(text) <= 80 else text[:77] + "...")


def _mapping(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise _UnfitError("bad-result", f"refit returned {shown(value)}; return a mapping of plain data")
    return value


def _loss_of_mapping(result: Mapping[Any, Any]) -> float:
    if "loss" not in result:
        raise _UnfitError("bad-result", f"compute returned a mapping without 'loss': {shown(result)}; {_EXPECTED}")
    return _loss(result["loss"], "a loss that is no number")


def _loss(value: Any, complaint: str) -> float:
    """The value as a finite float.

    Raises:
        _UnfitError: It is no number, or not finite.
    """
    original = value
    if not isinstance(value, int | float) and callable(getattr(value, "item", None)):
        try:
            value = value.item()
        except (TypeError, ValueError, RuntimeError):
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _UnfitError(
            "bad-result", f"compute returned {complaint}: {shown(original)} ({type_name(original)}); {_EXPECTED}"
        )
    try:
        loss = float(value)
    except OverflowError:
        loss = float("inf")
    if not isfinite(loss):
        raise _UnfitError("non-finite", f"the loss is {shown(original)}; return a finite number")
    return loss


def _info(result: Mapping[Any, Any]) -> dict[str, Any]:
    info = result.get("info")
    if info is None:
        merged: dict[Any, Any] = {}
    elif isinstance(info, Mapping):
        merged = dict(info)
    else:
        merged = {"value": info}
    for key, item in result.items():
        if key not in ("loss", "info"):
            merged.setdefault(key, item)
    return _checked_info(merged) if merged else {}


def _checked_info(info: Mapping[Any, Any]) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = to_plain(info, "info")
    except UnserialisableError as refused:
        raise _UnfitError("unserialisable", str(refused)) from refused
    size = len(msgpack.packb(plain))
    if size > MAX_PACKED_BYTES:
        raise _UnfitError(
            "unserialisable",
            f"info has {size} bytes packed, more than {MAX_PACKED_BYTES}; "
            "save large data to context.directory and return its path",
        )
    return plain
