"""Who gives way where there are too many peers."""

from bohb_service.rpc.crowd import first_of_the_crowd


def test_the_oldest_from_the_most_crowded_address_gives_way():
    peers = [("a", 1), ("b", 2), ("b", 3), ("c", 4)]
    assert first_of_the_crowd(peers, lambda peer: peer[0]) == ("b", 2)
    assert first_of_the_crowd([("a", 1)], lambda peer: peer[0]) == ("a", 1)
