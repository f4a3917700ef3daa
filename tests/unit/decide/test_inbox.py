"""Messages of a queue: which are ours, which may be deleted, and when the queue counts as empty."""

from bec_operator.decide.sight.seen import Fact
from bec_operator.decide.volumes.inbox import AGAIN_AT_MOST, Inbox
from bec_ops.contract.volume import Volume

ONE, TWO = Volume("W1", "I1"), Volume("W1", "I2")


def test_a_message_may_be_deleted_once_its_volume_is_stored() -> None:
    inbox = Inbox()
    inbox.note_received({ONE: {"a": "1", "b": "1"}, TWO: {"c": "1"}}, {"d": "1"})
    assert inbox.stored == {"d": "1"}
    assert inbox.held == 4

    inbox.note_stored([ONE])

    assert inbox.stored == {"a": "1", "b": "1", "d": "1"}
    assert inbox.held == 4
    inbox.note_deleted({"a": "1", "b": "1", "d": "1"}, {"a", "d"})
    assert inbox.stored == {"b": "1"}, "the rest is tried again"


def test_a_queue_that_does_not_delete_is_told_of_until_it_does() -> None:
    inbox = Inbox(stored={"a": "1"})
    inbox.note_undeleted(Fact(5.0, "QueueForbidden", "no"))
    inbox.note_received({}, {"b": "1"})
    assert inbox.undeleted is not None
    assert inbox.delete_not_before > 5.0
    inbox.note_deleted({"a": "1", "b": "1"}, {"a", "b"})
    assert inbox.undeleted is None


def test_of_a_message_that_comes_again_the_later_receipt_counts() -> None:
    inbox = Inbox()
    inbox.note_received({ONE: {"a": "old"}}, {})
    inbox.note_received({ONE: {"a": "new"}}, {})
    inbox.note_stored([ONE])
    assert inbox.stored == {"a": "new"}

    inbox.note_received({}, {"a": "newest"})
    inbox.note_deleted({"a": "new"}, {"a"})

    assert inbox.stored == {"a": "newest"}, "with the old one nothing is known to be deleted"


def test_a_queue_is_believed_to_be_empty_if_it_says_so_for_a_while() -> None:
    inbox = Inbox()
    inbox.note_empty(100.0, 3, 60.0, empty=True)
    assert not inbox.is_empty(3)
    inbox.note_empty(150.0, 3, 60.0, empty=False)
    inbox.note_empty(160.0, 3, 60.0, empty=True)
    assert not inbox.is_empty(3)
    inbox.note_empty(220.0, 3, 60.0, empty=True)
    assert inbox.is_empty(3)
    assert not inbox.is_empty(4), "another volume was settled since"
    inbox.note_received({}, {"a": "1"})
    assert not inbox.is_empty(3)


def test_a_queue_that_gives_no_answer_is_asked_ever_more_rarely() -> None:
    inbox, waits = Inbox(), []
    for now in (0.0, 100.0, 200.0, 300.0, 400.0, 500.0):
        inbox.note_trouble(Fact(now, "ConnectionUnavailable", "away"))
        waits.append(inbox.not_before - now)
    assert waits == sorted(waits)
    assert waits[-1] == AGAIN_AT_MOST
    inbox.note_received({}, {})
    assert inbox.trouble is None
    inbox.note_trouble(Fact(600.0, "ConnectionUnavailable", "away"))
    assert inbox.not_before - 600.0 == waits[0]
