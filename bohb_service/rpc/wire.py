"""Messages as bytes, and back.

Pyro5 carries one opaque byte string in each direction; what is in it is packed and validated here, with
msgpack and plain values only.
"""

import math
import reprlib
from collections.abc import Callable
from dataclasses import astuple
from typing import Any, TypeVar, get_args

from bohb_service.errors import ProtocolError
from bohb_service.rpc.messages import Answer, LeaseKey, Registration, Report, Request, WorkerInfo
from bohb_service.rpc.serialisers import MSGPACK, UNREADABLE, unpack_plain
from bohb_service.scheduler.needs import Label
from bohb_service.scheduler.outcomes import Completed, Curve, Failed, FailureReason, Outcome, Released
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import TrialId

MAX_INFO_BYTES = 1 << 20
"""Most that is kept of what an objective returned beside its loss; our own workers send no more."""

_MAX_POINTS = 1 << 14
_MAX_TEXT = 1 << 16
_MAX_REASON = 1000
_MAX_NAME = 256
_MAX_SPEC = 4096
_MAX_LEASES = 4096
_MAX_LABELS = 100
_MAX_REPORTS = 1 << 14
_MAX_DEPTH = 100
_FAILURES = frozenset(get_args(FailureReason))
_RELEASES = frozenset({"lost", "preempted", "unstarted"})

T = TypeVar("T")

pack = MSGPACK.dumps


def unpack(data: bytes) -> Any:
    """The plain value in a packed message.

    Raises:
        ProtocolError: The bytes are no such message.
    """
    if not isinstance(data, bytes):
        raise ProtocolError(f"a message must be bytes, not {type(data).__name__}")
    try:
        return unpack_plain(data, any_key=True)
    except UNREADABLE as error:
        raise ProtocolError(f"a message of {len(data)} bytes cannot be read: {error}") from error


def _parsed(what: str, parse: Callable[[Any], T], data: bytes) -> T:
    plain = unpack(data)
    try:
        return parse(plain)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError) as error:
        raise ProtocolError(f"a {what} has not the form that protocol expects: {error}") from error


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"{reprlib.repr(value)} is no text")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{reprlib.repr(value)} is no integer")
    return value


def _few(values: list[Any], most: int) -> list[Any]:
    if len(values) > most:
        raise ValueError(f"{len(values)} entries, and at most {most} are taken")
    return values


def _integers(values: list[Any]) -> tuple[int, ...]:
    return tuple(map(_integer, _few(values, _MAX_LEASES)))


def _number(value: Any) -> float:
    if type(value) not in {int, float} or not math.isfinite(value):
        raise TypeError(f"{reprlib.repr(value)} is no finite number")
    return float(value)


def _optional(parse: Callable[[Any], T], value: Any) -> T | None:
    return None if value is None else parse(value)


def _mapping(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise TypeError(f"{reprlib.repr(value)} is no mapping")
    _check_plain(value)
    return value


def _is_loss(value: float) -> bool:
    return type(value) is not bool and math.isfinite(value)


def _duration(value: Any) -> float:
    seconds = float(value)
    if not 0.0 <= seconds < math.inf:
        raise ValueError(f"{seconds} is no duration")
    return seconds


def _amount(value: Any) -> float:
    if _number(value) < 0.0:
        raise ValueError(f"{value} is no amount")
    return float(value)


def _check_plain(value: Any, depth: int = 0) -> None:
    """Raise TypeError unless a value has a JSON form."""
    if depth > _MAX_DEPTH:
        raise TypeError(f"a value is nested deeper than {_MAX_DEPTH} levels")
    match value:
        case dict():
            for key, item in value.items():
                if type(key) is not str:
                    raise TypeError(f"key {reprlib.repr(key)} is no text")
                _check_plain(item, depth + 1)
        case list():
            for item in value:
                _check_plain(item, depth + 1)
        case None | bool() | int() | float() | str():
            pass
        case _:
            raise TypeError(f"a {type(value).__name__} is no plain value")


def _curve(points: list[list[float]]) -> Curve:
    if len(points) > _MAX_POINTS:
        raise ValueError(f"a curve of {len(points)} points is longer than {_MAX_POINTS}")
    return tuple([(float(step), float(loss)) for step, loss in points])


def _pack_outcome(outcome: Outcome) -> list[Any]:
    match outcome:
        case Completed(loss, info, seconds, curve, continued_from):
            return ["completed", loss, dict(info), seconds, curve, continued_from]
        case Failed(reason, message, detail, seconds, curve):
            return ["failed", reason, message, detail, seconds, curve]
        case Released(reason, message):
            return ["released", reason, message]


def _parse_outcome(plain: list[Any]) -> Outcome:
    match plain:
        case ["completed", int() | float() as loss, dict() as info, seconds, curve, spared] if _is_loss(loss):
            _check_plain(info)
            if (n_bytes := len(pack(info))) > MAX_INFO_BYTES:
                what = f"info has {n_bytes} bytes, more than the {MAX_INFO_BYTES} that are kept"
                return Failed("bad-result", what, seconds=_duration(seconds), curve=_curve(curve))
            return Completed(float(loss), info, _duration(seconds), _curve(curve), _amount(spared))
        case ["failed", reason, str() as message, str() as detail, seconds, curve] if reason in _FAILURES:
            texts = message[:_MAX_TEXT], detail[-_MAX_TEXT:]
            return Failed(reason, *texts, _duration(seconds), _curve(curve))
        case ["released", reason, str() as message] if reason in _RELEASES:
            return Released(reason, message[:_MAX_REASON])
    raise ValueError(f"unknown outcome {reprlib.repr(plain)}")


def _pack_job(job: Job) -> list[Any]:
    trial = (job.trial.configuration, job.trial.rung)
    return [job.lease, trial, job.attempt, dict(job.config), job.budget, job.previous_budget, job.seed]


def _parse_job(plain: list[Any]) -> Job:
    lease, (configuration, rung), attempt, config, budget, previous_budget, seed = plain
    _integers([lease, configuration, rung, attempt, seed])
    trial, previous = TrialId(configuration, rung), _optional(_number, previous_budget)
    return Job(lease, trial, attempt, _mapping(config), _number(budget), previous, seed)


def _lease_keys(values: list[Any]) -> tuple[LeaseKey, ...]:
    return tuple([(_integer(lease), _text(epoch)) for lease, epoch in _few(values, _MAX_LEASES)])


def _labels(values: dict[str, Any]) -> dict[str, Label]:
    if len(values) > _MAX_LABELS:
        raise ValueError(f"{len(values)} labels, and at most {_MAX_LABELS} are taken")
    return {name[:_MAX_NAME]: _label(value) for name, value in _mapping(values).items()}


def _label(value: Any) -> Label:
    return value[:_MAX_NAME] if type(value) is str else _number(value)


def pack_request(session: str, request: Request) -> bytes:
    """An exchange as bytes."""
    return pack(
        [
            session,
            request.seq,
            [[lease, _pack_outcome(outcome)] for lease, outcome in request.results],
            [[report.lease, report.step, report.loss] for report in request.reports],
            request.running,
            request.max_jobs,
            request.wait_s,
            request.turnaround_s,
            request.place,
        ]
    )


def _parse_request(plain: Any) -> tuple[str, Request]:
    session, seq, results, reports, running, max_jobs, wait_s, turnaround_s, place = plain
    return _text(session), Request(
        seq=_integer(seq),
        results=tuple([(_integer(lease), _parse_outcome(outcome)) for lease, outcome in _few(results, _MAX_LEASES)]),
        reports=tuple(
            [Report(int(lease), float(step), float(loss)) for lease, step, loss in _few(reports, _MAX_REPORTS)]
        ),
        running=_integers(running),
        max_jobs=_integer(max_jobs),
        wait_s=_duration(wait_s),
        turnaround_s=_duration(turnaround_s),
        place=_text(place)[:_MAX_NAME],
    )


def unpack_request(data: bytes) -> tuple[str, Request]:
    """The session and exchange in a message.

    Raises:
        ProtocolError: The message has not the right form.
    """
    return _parsed("request", _parse_request, data)


def pack_answer(answer: Answer) -> bytes:
    """An answer as bytes."""
    jobs = [_pack_job(job) for job in answer.jobs]
    return pack([answer.acks, jobs, answer.lost, answer.prefetch, answer.stop, answer.over])


def _parse_answer(plain: Any) -> Answer:
    acks, jobs, lost, prefetch, stop, over = plain
    parsed = tuple(_parse_job(job) for job in jobs)
    return Answer(_integers(acks), parsed, _integers(lost), _integer(prefetch), _optional(_text, stop), _integers(over))


def unpack_answer(data: bytes) -> Answer:
    """The answer in a message.

    Raises:
        ProtocolError: The message has not the right form.
    """
    return _parsed("answer", _parse_answer, data)


def pack_info(info: WorkerInfo) -> bytes:
    """A worker's introduction as bytes."""
    return pack(astuple(info))


def _parse_info(plain: Any) -> WorkerInfo:
    worker, host, pid, started, version, protocol, spec, running, machine, *more = plain
    for text, longest in (*((name, _MAX_NAME) for name in (worker, host, version, machine)), (spec, _MAX_SPEC)):
        if len(_text(text)) > longest:
            raise ValueError(f"a text of {len(text)} characters is longer than {longest}")
    if not 0 < int(pid) < 2**31:
        raise ValueError(f"{pid} is no process id")
    leases = _lease_keys(running)
    labels = more[0] if more else {}  # a worker of an older version is refused for that, not for its form
    return WorkerInfo(
        worker, host, int(pid), float(started), version, int(protocol), spec, leases, machine, _labels(labels)
    )


def unpack_info(data: bytes) -> WorkerInfo:
    """The introduction in a message.

    Raises:
        ProtocolError: The message has not the right form.
    """
    return _parsed("registration", _parse_info, data)


def pack_registration(registration: Registration) -> bytes:
    """What a worker is told at its registration, as bytes."""
    return pack(astuple(registration))


def _parse_registration(plain: Any) -> Registration:
    (
        session,
        study,
        spec,
        options,
        folder,
        study_id,
        seconds,
        memory_mb,
        lease_s,
        heartbeat_s,
        wait_s,
        epoch,
        foreign,
    ) = plain
    return Registration(
        session=_text(session),
        study=_text(study),
        worker_spec=_text(spec),
        worker_options=_mapping(options),
        configurations=_text(folder),
        study_id=_text(study_id),
        limit_seconds=_optional(_duration, seconds),
        limit_memory_mb=_optional(_integer, memory_mb),
        lease_s=_duration(lease_s),
        heartbeat_s=_duration(heartbeat_s),
        wait_s=_duration(wait_s),
        epoch=_text(epoch),
        foreign=_integers(foreign),
    )


def unpack_registration(data: bytes) -> Registration:
    """What the master says at a registration.

    Raises:
        ProtocolError: The message has not the right form.
    """
    return _parsed("registration", _parse_registration, data)


def pack_goodbye(session: str, unstarted: tuple[int, ...], reason: str) -> bytes:
    """A worker's farewell as bytes."""
    return pack([session, unstarted, reason])


def _parse_goodbye(plain: Any) -> tuple[str, tuple[int, ...], str]:
    session, unstarted, reason = plain
    return _text(session), _integers(unstarted), _text(reason)[:_MAX_REASON]


def unpack_goodbye(data: bytes) -> tuple[str, tuple[int, ...], str]:
    """Session, leases that were not begun, and reason in a farewell.

    Raises:
        ProtocolError: The message has not the right form.
    """
    return _parsed("goodbye", _parse_goodbye, data)
