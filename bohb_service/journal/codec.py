"""Events as JSON text, and back.

The form of an event is a JSON object of its fields; its kind is stored beside it. Trials are written as
``"configuration.rung"``, rungs as ``[size, budget]``, failed losses of observations as null.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, get_args

from bohb_service.errors import JournalCorruptError
from bohb_service.optimizer.brackets import Rung
from bohb_service.optimizer.observation import Observation
from bohb_service.scheduler.events import Event
from bohb_service.scheduler.trial import TrialId

_KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
_FIELDS: dict[str, tuple[str, ...]] = {name: tuple(f.name for f in fields(kind)) for name, kind in _KINDS.items()}


def _encode_observation(observation: Observation) -> list[Any]:
    loss = None if math.isinf(observation.loss) else observation.loss
    return [observation.configuration, dict(observation.values), observation.budget, loss]


def _decode_observation(data: list[Any]) -> Observation:
    configuration, values, budget, loss = data
    return Observation(configuration, values, budget, math.inf if loss is None else loss)


_ENCODERS: dict[str, Callable[[Any], Any]] = {
    "trial": str,
    "rungs": lambda rungs: [[rung.size, rung.budget] for rung in rungs],
    "observations": lambda observations: [_encode_observation(observation) for observation in observations],
    "values": dict,
    "info": dict,
}
_DECODERS: dict[str, Callable[[Any], Any]] = {
    "trial": TrialId.parse,
    "rungs": lambda rungs: tuple(Rung(size, budget) for size, budget in rungs),
    "observations": lambda observations: tuple(_decode_observation(data) for data in observations),
    "promoted": tuple,
    "curve": lambda points: tuple((step, loss) for step, loss in points),
}


def encode_event(event: Event) -> tuple[str, str]:
    """The kind of an event and its JSON text."""
    kind = type(event).__name__
    body = {}
    for name in _FIELDS[kind]:
        value = getattr(event, name)
        encode = _ENCODERS.get(name)
        body[name] = encode(value) if encode else value
    return kind, json.dumps(body, separators=(",", ":"))


def decode_event(kind: str, text: str) -> Event:
    """The event of this kind and JSON text.

    Raises:
        JournalCorruptError: The kind is unknown or the text is not what `encode_event` writes.
    """
    try:
        body: Mapping[str, Any] = json.loads(text)
        return _KINDS[kind](**{name: _DECODERS[name](v) if name in _DECODERS else v for name, v in body.items()})
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise JournalCorruptError(
            f"the journal holds an event that this version cannot read: {kind} {text[:80]!r} ({error}); "
            "use the version that wrote it"
        ) from error
