"""Events as JSON text, and back.

The form of an event is a JSON object of its fields; its kind is stored beside it. Trials are written as
``"configuration.rung"``, rungs as ``[size, budget]``, failed losses of observations as null.

Strings that occur again and again (names of hyperparameters and workers, choices, reasons) are one object each in
what is decoded: a study of a hundred thousand trials would hold millions of them.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from sys import intern
from typing import Any, get_args

from bohb_service.errors import JournalCorruptError
from bohb_service.optimizer.brackets import Rung
from bohb_service.optimizer.observation import Observation
from bohb_service.scheduler.events import Event
from bohb_service.scheduler.trial import TrialId


def _encode_observation(observation: Observation) -> list[Any]:
    loss = None if math.isinf(observation.loss) else observation.loss
    return [observation.configuration, dict(observation.values), observation.budget, loss]


def _decode_observation(data: list[Any]) -> Observation:
    configuration, values, budget, loss = data
    return Observation(configuration, values, budget, math.inf if loss is None else loss)


def _decode_values(values: dict[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        if isinstance(value, str):
            values[name] = intern(value)
    return values


_ENCODERS: Mapping[str, Callable[[Any], Any]] = {
    "trial": str,
    "rungs": lambda rungs: [[rung.size, rung.budget] for rung in rungs],
    "observations": lambda observations: [_encode_observation(observation) for observation in observations],
    "values": dict,
    "info": dict,
}
_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "trial": TrialId.parse,
    "rungs": lambda rungs: tuple(Rung(size, budget) for size, budget in rungs),
    "observations": lambda observations: tuple(_decode_observation(data) for data in observations),
    "promoted": tuple,
    "curve": lambda points: tuple((step, loss) for step, loss in points),
    "values": _decode_values,
    "origin": intern,
    "worker": intern,
    "reason": intern,
}


class _Form:
    """How the events of one kind are written.

    Args:
        kind: Their class.
    """

    def __init__(self, kind: type[Event]) -> None:
        self._kind = kind
        names = tuple(field.name for field in fields(kind))
        self._encoders = tuple((name, _ENCODERS.get(name)) for name in names)
        self._decoders = tuple((name, _DECODERS[name]) for name in names if name in _DECODERS)

    def encode(self, event: Event) -> dict[str, Any]:
        """The body of an event."""
        return {
            name: getattr(event, name) if encode is None else encode(getattr(event, name))
            for name, encode in self._encoders
        }

    def decode(self, body: dict[str, Any]) -> Event:
        """The event of a body, which is used up."""
        for name, decode in self._decoders:
            if name in body:
                body[name] = decode(body[name])
        return self._kind(**body)


_FORMS: Mapping[str, _Form] = {kind.__name__: _Form(kind) for kind in get_args(Event)}
_to_json = json.JSONEncoder(separators=(",", ":")).encode


def encode_event(event: Event) -> tuple[str, str]:
    """The kind of an event and its JSON text."""
    kind = type(event).__name__
    return kind, _to_json(_FORMS[kind].encode(event))


def decode_event(kind: str, text: str) -> Event:
    """The event of this kind and JSON text.

    Raises:
        JournalCorruptError: The kind is unknown or the text is not what `encode_event` writes.
    """
    try:
        return _FORMS[kind].decode(json.loads(text))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise JournalCorruptError(
            f"the journal holds an event that this version cannot read: {kind} {text[:80]!r} ({error}); "
            "use the version that wrote it"
        ) from error


def decode_events(rows: Sequence[tuple[str, str]]) -> Iterator[Event]:
    """The events of these pairs of kind and JSON text, faster and smaller than one by one.

    Raises:
        JournalCorruptError: As `decode_event`, when the iterator comes to that event.
    """
    # One call of the parser makes one object of all equal names in it.
    try:
        bodies = json.loads(f"[{','.join([text for _, text in rows])}]")
    except ValueError:
        bodies = []
    if len(bodies) != len(rows):  # some text is none; one by one it is found
        yield from (decode_event(kind, text) for kind, text in rows)
        return
    for (kind, text), body in zip(rows, bodies, strict=True):
        try:
            event = _FORMS[kind].decode(body)
        except (KeyError, ValueError, TypeError, AttributeError):
            event = decode_event(kind, text)
        yield event
