"""Why a worker could not work, from what it printed."""

import io
import json

import pytest

from bohb_service.fleet.last_words import last_words


def logged(level, message):
    return json.dumps({"time": "2026-01-01T00:00:00.000Z", "level": level, "message": message}).encode() + b"\n"


LOGGED = logged("error", "worker cannot be used: no module named 'x'\nTraceback\n  File") + logged(
    "info", "worker ended"
)


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        (LOGGED, "worker cannot be used: no module named 'x'"),
        (
            logged("error", "first") + LOGGED + b'{"level": "error", "mess\n' + b"more\n" * 9_000,
            "worker cannot be used: no module named 'x'",
        ),
        (b"slurmstepd: error: Detected 1 oom_kill event\n", "slurmstepd: error: Detected 1 oom_kill event"),
        (b"padding\n" * 500 + b"no such file\n", ("padding\n" * 250 + "no such file")[-1999:].strip()),
        (b"", ""),
    ],
    ids=["an error", "the last error", "no error", "long", "nothing"],
)
def test_the_last_error_is_told_or_the_end(printed, words):
    assert last_words(io.BytesIO(printed)) == words


def test_it_is_told_where_the_rest_is():
    assert last_words(io.BytesIO(LOGGED), "/runs/w.log").endswith("no module named 'x' (more in /runs/w.log)")
