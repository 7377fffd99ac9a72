import pytest
from hypothesis import given
from hypothesis import strategies as st

from bohb_service.master.proposer import Prefix

INDICES = st.one_of(st.none(), st.integers(-12, 12))


@given(st.lists(st.integers(), max_size=10), INDICES, INDICES, st.sampled_from([None, 1, 2, -1, -3]))
def test_a_prefix_is_the_list_as_it_was(items, start, stop, step):
    whole = list(items)
    prefix = Prefix(whole)
    whole.extend([7, 8, 9])
    assert (len(prefix), list(prefix), list(reversed(prefix))) == (len(items), items, items[::-1])
    assert prefix[start:stop:step] == items[start:stop:step]


def test_a_prefix_ends_where_it_ended():
    whole = [1, 2]
    prefix = Prefix(whole)
    whole.append(3)
    assert (prefix[0], prefix[1], prefix[-1], prefix[-2]) == (1, 2, 2, 1)
    for index in (2, -3):
        with pytest.raises(IndexError):
            prefix[index]
