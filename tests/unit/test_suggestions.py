"""What is offered in place of an unknown name."""

import pytest

from bohb_service.suggestions import did_you_mean


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("sede", ["name", "seed", "stop"], "did you mean 'seed'?"),
        ("sede", iter(["name", "seed"]), "did you mean 'seed'?"),
        ("warm-start", ["warm_start", "stop"], "did you mean 'warm_start'?"),
        ("successive_halving", ["successive-halving"], "did you mean 'successive-halving'?"),
        ("DIGITS", ["Digits", "Letters"], "did you mean 'Digits'?"),
        ("digits", ["Digits", "DIGITS"], "did you mean 'Digits'?"),
        (3, ["31", "x"], "did you mean '31'?"),
        ("qqq", ["name", "seed"], ""),
        ("x", [], ""),
    ],
)
def test_the_nearest_name_is_offered(name, known, hint):
    assert did_you_mean(name, known) == hint


def test_several_names_may_be_near():
    known = ["bench-two", "bench-one", "other"]

    assert did_you_mean("bench-ones", known) == "did you mean 'bench-one'?"
    assert did_you_mean("bench-ones", known, at_most=3) == "did you mean 'bench-one' or 'bench-two'?"
