"""When the collector of cyclic garbage may run in the commands that hold a whole journal in memory.

A full collection looks at every object that can hold others. A hundred thousand trials are half a million of them,
and for the 0.2 s that this takes nobody is answered, although next to nothing of it is ever garbage.
"""

import gc

_MOST_LOOKED_AT = 100_000
_YOUNG = 10_000
"""So many new objects are looked at together: most of them are there to stay, and looking at every 700 of them, as
the interpreter does, is a tenth of what an exchange costs without its transport."""


def pause_collector() -> None:
    """Collect nothing until `spare_survivors`, or to the end of a command that only reads."""
    gc.disable()


def spare_survivors() -> None:
    """Collect again, but look no more at what is there now, nor at what has piled up after a full collection."""
    gc.freeze()
    gc.callbacks.append(_spare_many)
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
    gc.enable()


def _spare_many(phase: str, info: dict[str, int]) -> None:
    if phase == "stop" and info["generation"] == 2 and len(gc.get_objects(generation=2)) > _MOST_LOOKED_AT:
        gc.freeze()
