"""What a returned value or a raised exception means."""

import math

import msgpack
import numpy as np
import pytest

from bohb_service.scheduler.outcomes import Completed, Failed
from bohb_service.worker.plain import MAX_PACKED_BYTES
from bohb_service.worker.verdicts import (
    MAX_DETAIL_BYTES,
    MAX_MESSAGE_CHARACTERS,
    judge_exception,
    judge_refit,
    judge_result,
    shown,
)

CURVE = ((1.0, 0.5),)


@pytest.mark.parametrize(
    ("value", "loss"),
    [
        (0.25, 0.25),
        (3, 3.0),
        (-0.0, 0.0),
        (np.float64(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (np.int64(2), 2.0),
        (np.array(0.75), 0.75),
        (np.array([0.75]), 0.75),
        ({"loss": 1}, 1.0),
        ({"loss": np.float32(1.5), "info": None}, 1.5),
    ],
)
def test_numbers_of_all_kinds_are_losses(value, loss):
    assert judge_result(value, 2.0, CURVE) == Completed(loss, {}, 2.0, CURVE)
    assert type(judge_result(value, 2.0, CURVE).loss) is float


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "None (NoneType)"),
        (True, "True (bool)"),
        (np.bool_(0), "bool"),
        ("0.3", "'0.3' (str)"),
        (1j, "1j (complex)"),
        ([0.3], "[0.3] (list)"),
        ((0.3, {}), "(0.3, {}) (tuple)"),
        (np.array([1.0, 2.0]), "numpy.ndarray"),
        ({}, "without 'loss'"),
        ({"Loss": 1.0}, "without 'loss': {'Loss': 1.0}"),
        ({"loss": None}, "a loss that is no number: None"),
        ({"loss": "low"}, "a loss that is no number: 'low'"),
    ],
)
def test_what_is_no_loss_is_shown_with_what_is_expected(value, words):
    failed = judge_result(value, 2.0, CURVE)

    assert failed == Failed("bad-result", failed.message, "", 2.0, CURVE)
    assert words in failed.message
    assert "return the loss as a number, or {'loss': number, 'info': {...}}" in failed.message


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan"), {"loss": math.inf}, 10**400])
def test_a_loss_that_is_not_finite_is_a_failure(value):
    assert judge_result(value, 2.0, CURVE).reason == "non-finite"


@pytest.mark.parametrize(
    ("value", "info"),
    [
        ({"loss": 0, "info": {"epochs": (1, 2)}}, {"epochs": [1, 2]}),
        ({"loss": 0, "info": "converged"}, {"value": "converged"}),
        ({"loss": 0, "info": [1, 2]}, {"value": [1, 2]}),
        ({"loss": 0, "accuracy": np.float32(0.5)}, {"accuracy": 0.5}),
        ({"loss": 0, "seconds": 1, "info": {"seconds": 2}}, {"seconds": 2}),
    ],
)
def test_everything_beside_the_loss_is_kept_as_info(value, info):
    assert judge_result(value, 0.0, ()).info == info


def test_info_has_a_size_limit():
    # A list of n small integers has n bytes, and 5 more bytes for its length; so has the mapping around it.
    overhead = len(msgpack.packb({"a": [0] * 100_000})) - 100_000
    fits, too_large = ([0] * (MAX_PACKED_BYTES - overhead + extra) for extra in (0, 1))

    assert isinstance(judge_result({"loss": 0, "info": {"a": fits}}, 0.0, ()), Completed)
    failed = judge_result({"loss": 0, "info": {"a": too_large}}, 0.0, ())
    assert failed.reason == "unserialisable"
    assert str(MAX_PACKED_BYTES + 1) in failed.message


def test_an_unserialisable_info_names_the_key():
    failed = judge_result({"loss": 0, "info": {"model": object()}}, 0.0, ())

    assert failed.reason == "unserialisable"
    assert failed.message.startswith("info.model is of type object")


@pytest.mark.parametrize(
    ("value", "loss"),
    [({"test_error": 0.25}, 0.25), ({"loss": 2, "test_error": 0.25}, 2.0), ({"test_error": math.nan}, 0.0), ({}, 0.0)],
)
def test_a_refit_is_judged_by_its_mapping(value, loss):
    outcome = judge_refit(value, 1.0, ())

    assert isinstance(outcome, Completed)
    assert outcome.loss == loss
    assert repr(outcome.info) == repr(value)


def test_a_refit_without_a_mapping_is_a_failure():
    assert judge_refit(0.5, 1.0, ()).reason == "bad-result"


def raised(function):
    with pytest.raises(BaseException) as caught:
        function()
    return judge_exception(caught.value, 1.0, CURVE)


def test_an_exception_is_told_in_one_line_with_its_traceback():
    def fail():
        raise ValueError("first line\n   second line")

    failed = raised(fail)

    assert failed == Failed("exception", "ValueError: first line second line", failed.detail, 1.0, CURVE)
    assert "in fail" in failed.detail


def test_long_messages_and_tracebacks_are_cut():
    def fail():
        raise ValueError("x" * 100_000 + "the end")

    failed = raised(fail)

    assert len(failed.message) == MAX_MESSAGE_CHARACTERS
    assert len(failed.detail.encode()) <= MAX_DETAIL_BYTES
    assert failed.detail.startswith("Traceback")
    assert failed.detail.rstrip().endswith("the end")


def test_endless_recursion_is_an_exception_like_others():
    def fail():
        return fail()

    failed = raised(fail)

    assert failed.message.startswith("RecursionError")
    assert len(failed.detail.encode()) <= MAX_DETAIL_BYTES


def test_an_exception_whose_text_raises_is_told_all_the_same():
    class BrokenError(Exception):
        def __str__(self):
            raise RuntimeError

    def fail():
        raise BrokenError

    assert raised(fail).message == "BrokenError: (its text cannot be shown)"


def test_text_that_cannot_be_encoded_is_escaped():
    def fail():
        raise ValueError("\ud800")

    failed = raised(fail)

    msgpack.packb([failed.message, failed.detail])
    assert "\\ud800" in failed.message


@pytest.mark.parametrize(
    ("code", "words"), [(None, "sys.exit()"), (3, "sys.exit(3)"), ("no data", "sys.exit('no data')")]
)
def test_sys_exit_is_told_with_its_code(code, words):
    failed = judge_exception(SystemExit(code), 1.0, ())

    assert failed.reason == "exit"
    assert words in failed.message


def test_values_are_shown_in_80_characters():
    class Silent:
        def __repr__(self):
            raise RuntimeError

    assert len(shown("x" * 1000)) <= 80
    assert len(shown({str(key): "y" * 50 for key in range(50)})) <= 80
    assert "Silent" in shown(Silent())
