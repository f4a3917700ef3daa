"""Who is at fault, by what became of volumes on several hosts."""

from bec_operator.decide.hosts.repute import HOSTS_KEPT, RECENT, SURE_KEPT, Reputes

NOW = 1000.0


def fails(seen: Reputes, host: str, *volumes: int) -> None:
    for index in volumes:
        seen.note_failure(host, host, index, f"pod {index} of {host}", NOW)


def does(seen: Reputes, host: str, *volumes: int) -> None:
    for index in volumes:
        seen.note_success(host, host, index, NOW)


def test_two_different_volumes_in_a_row() -> None:
    seen = Reputes()
    does(seen, "hole", 1)
    fails(seen, "hole", 2, 2, 2)
    assert not seen.bad(), "one volume may well be why"
    fails(seen, "hole", 3)
    assert seen.bad().keys() == {"hole"}
    assert not seen.bad()["hole"].sure
    does(seen, "well", 3)
    assert seen.bad()["hole"].sure, "another one did it"


def test_a_success_between_them_clears_it() -> None:
    seen = Reputes()
    for index in range(20):
        fails(seen, "flaky", 3 * index)
        does(seen, "flaky", 3 * index + 1)
    assert not seen.bad()


def test_who_fails_now_and_then_what_others_do_is_at_fault_in_the_end() -> None:
    seen = Reputes()
    does(seen, "well", *range(100, 110))
    for index in range(3):
        fails(seen, "flaky", index)
        does(seen, "well", index)
        assert bool(seen.bad()) is (index == 2)
        does(seen, "flaky", 50 + index)
    assert seen.bad()["flaky"].sure


def test_where_all_fail_alike_nobody_is_at_fault() -> None:
    """How often others fail says how many in a row are no chance."""
    seen = Reputes()
    for index in range(0, 200, 4):
        for number in range(4):
            fails(seen, f"h{number}", index + number)
    assert not seen.bad()


def test_where_a_fifth_fails_three_in_a_row_are_needed() -> None:
    seen = Reputes()
    for number in range(3):
        for turn in range(10):
            act = fails if turn % 5 == 0 else does
            act(seen, f"h{number}", 100 * number + turn)
    does(seen, "hole", 900)
    fails(seen, "hole", 901, 902)
    assert not seen.bad()
    fails(seen, "hole", 903)
    assert seen.bad().keys() == {"hole"}


def test_a_volume_that_fails_on_two_hosts_that_do_well_is_held_against_neither() -> None:
    """A poison volume must not condemn all workers that it meets."""
    seen = Reputes()
    for number in range(4):
        does(seen, f"h{number}", 10 + number)
    for poison in (1, 2, 3):
        for number in range(4):
            fails(seen, f"h{number}", poison)
            does(seen, f"h{number}", 100 * poison + number)
    assert not seen.bad()


def test_two_poison_volumes_in_a_row_are_forgiven_once_another_one_has_met_the_first() -> None:
    seen = Reputes()
    for host in ("a", "b"):
        does(seen, host, 10)
    fails(seen, "a", 1, 2)
    assert seen.bad().keys() == {"a"}
    fails(seen, "b", 1)
    assert not seen.bad()


def test_what_has_failed_for_good_is_held_against_nobody() -> None:
    seen = Reputes()
    does(seen, "b", 10, 11)
    fails(seen, "a", 1, 2)
    seen.acquit(1, NOW)
    assert not seen.bad()


def test_two_holes_among_four_are_both_found() -> None:
    seen, fates = Reputes(), dict.fromkeys(("h0", "h1", "h2", "h3"), 0)
    index = 0
    while len(seen.bad()) < 2 and index < 60:
        index += 1
        for hole in ("h0", "h1"):
            if hole not in seen.bad():
                fails(seen, hole, index)
                fates[hole] += 1
        does(seen, "h2" if index % 2 else "h3", index)
    assert seen.bad().keys() == {"h0", "h1"}
    assert max(fates.values()) <= 8


def test_who_does_well_again_is_as_good_as_any() -> None:
    seen = Reputes()
    does(seen, "well", *range(100, 110))
    fails(seen, "node", *range(8))
    does(seen, "well", *range(8))
    seen.note_success("node", "node", 50, NOW + 10, NOW - 10)
    assert seen.bad(), "which it began before it was broken"
    seen.note_success("node", "node", 51, NOW + 20, NOW + 15)
    assert not seen.bad()
    fails(seen, "node", 52)
    assert not seen.bad()


def test_one_that_is_replaced_by_its_like_is_found_as_soon() -> None:
    """Those that were at fault are no measure of how often others fail."""
    seen = Reputes()
    does(seen, "well", *range(900, 910))
    for number in range(30):
        first, second = 10 * number, 10 * number + 1
        fails(seen, f"hole{number}", first, second)
        assert f"hole{number}" in seen.bad()
        does(seen, "well", first, second)
        seen.keep({"well"})


def test_a_node_is_at_fault_only_if_several_workers_fail_there() -> None:
    nodes = Reputes(workers=2)
    does(nodes, "well", 10, 11)
    for index in range(5):
        nodes.note_failure("node", "node", index, "one worker", NOW)
    assert not nodes.bad()
    nodes.note_failure("node", "node", 9, "another", NOW)
    assert nodes.bad().keys() == {"node"}


def test_its_books_are_bounded_and_end_empty() -> None:
    seen = Reputes()
    for index in range(3 * HOSTS_KEPT):
        fails(seen, f"h{index}", index)
        does(seen, "well", index)
    assert len(seen.hosts) <= HOSTS_KEPT
    assert all(len(host.recent) <= RECENT for host in seen.hosts.values())
    seen = Reputes()
    for number in range(2 * SURE_KEPT):
        fails(seen, f"hole{number}", 9000 + 2 * number, 9001 + 2 * number)
        does(seen, "well", 9000 + 2 * number, 9001 + 2 * number)
    seen.keep(set())
    assert len(seen.hosts) == SURE_KEPT
    for host in list(seen.hosts):
        seen._forget(host)
    assert (seen.hosts, seen._failed, seen._well, seen._all) == ({}, {}, 0, 0)
