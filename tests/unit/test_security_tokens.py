"""Proofs of a shared secret: each holds for one secret, role, side and pair of nonces only."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bohb_service.security.tokens import (
    NONCE_BYTES,
    ROLES,
    TOKEN_BYTES,
    client_proof,
    is_proof,
    new_nonce,
    server_proof,
)

NONCES = st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES)
TOKENS = st.binary(min_size=TOKEN_BYTES, max_size=TOKEN_BYTES)
SIDES = st.sampled_from([server_proof, client_proof])
# Of the secret 00 01 .. 1f, computed by hand: server for worker and admin, client for worker and admin.
WIRE = [
    "c746a6bc0147fb411974a1d6eecc1e2687bc0aa4c1f32cc20f35e56246d46a1d",
    "272335ccbd789585708caaadf2faba15484c9c34118ec78c34d42e306c9a34b5",
    "8c2e77a810d39d461296c3f2d43b7fe7ae2096475a53b738bb7d8624e329a8e6",
    "2d58aae6c9ed5f6b82c6a67defb54dcee3f362e0cc6d7210aae60d7c7250f298",
]
CASES = st.tuples(SIDES, TOKENS, st.sampled_from(ROLES), NONCES, NONCES)


def proof(case):
    side, *arguments = case
    return side(*arguments)


@given(case=CASES)
def test_who_knows_the_secret_is_believed(case):
    assert is_proof(proof(case), proof(case))


@given(one=CASES, other=CASES)
def test_no_two_cases_have_the_same_proof(one, other):
    assert is_proof(proof(one), proof(other)) == (one == other)


@given(token=TOKENS, nonces=st.tuples(NONCES, NONCES))
def test_proofs_differ_by_side_role_and_order_of_nonces(token, nonces):
    orders = {nonces, nonces[::-1]}
    proofs = {
        side(token, role, *order)
        for side, role, order in itertools.product((server_proof, client_proof), ROLES, orders)
    }

    assert len(proofs) == 4 * len(orders)


@given(case=CASES, position=st.integers(0, 31), bit=st.integers(0, 7))
def test_one_other_bit_anywhere_makes_another_proof(case, position, bit):
    side, token, role, *nonces = case
    expected = proof(case)

    def flipped(value):
        return value[:position] + bytes([value[position] ^ 1 << bit]) + value[position + 1 :]

    assert not is_proof(expected, flipped(expected))
    assert not is_proof(expected, side(flipped(token), role, *nonces))
    assert not is_proof(expected, side(token, role, flipped(nonces[0]), nonces[1]))
    assert not is_proof(expected, side(token, role, nonces[0], flipped(nonces[1])))


@given(given=st.one_of(st.none(), st.text(), st.binary(), st.integers(), st.lists(st.integers(0, 255))))
def test_anything_else_is_no_proof(given):
    assert not is_proof(server_proof(bytes(32), "worker", bytes(32), bytes(32)), given)


def test_equal_bytes_of_another_type_or_length_are_no_proof():
    expected = client_proof(bytes(32), "admin", bytes(32), bytes(32))

    assert not is_proof(expected, bytearray(expected))
    assert not is_proof(expected, memoryview(expected))
    assert not is_proof(expected, expected + b"\0")
    assert not is_proof(expected, expected[:-1])
    assert not is_proof(b"", b"")


def test_the_wire_format_of_proofs_stays():
    """Another value would lock out every peer of an older version."""
    proofs = [
        side(bytes(range(32)), role, b"c" * 32, b"s" * 32).hex()
        for side in (server_proof, client_proof)
        for role in ROLES
    ]

    assert proofs == WIRE


@pytest.mark.parametrize("side", [server_proof, client_proof])
@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        ((b"short", "worker", bytes(32), bytes(32)), "token has 5 bytes"),
        ((bytes(32), "master", bytes(32), bytes(32)), "'master' is no role"),
        ((bytes(32), "worker", bytes(31), bytes(33)), "client nonce has 31 bytes"),
        ((bytes(32), "worker", bytes(32), bytes(33)), "server nonce has 33 bytes"),
    ],
)
def test_what_would_be_ambiguous_is_refused(side, arguments, phrase):
    with pytest.raises(ValueError, match=phrase):
        side(*arguments)


def test_nonces_are_new():
    assert len({new_nonce() for _ in range(100)}) == 100
    assert len(new_nonce()) == NONCE_BYTES
