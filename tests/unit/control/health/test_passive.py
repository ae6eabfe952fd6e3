"""The passive watch: who is inhibited, for how long, and when that is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbctl.control.health.passive import Inhibition, PassiveWatch, Seen, Suspicion, growth
from lbctl.model import Passive, SocketAddress

KEY = ("web", SocketAddress.parse("10.0.1.11:8080"))
OTHER = ("web", SocketAddress.parse("10.0.1.12:8080"))
PASSIVE = Passive(failures=5, ratio=0.5, window=2, inhibit=5, inhibit_max=15)


class Server:
    """One server, of which connections and failures are counted as the data path would."""

    def __init__(self, passive=PASSIVE):
        self.watch, self.passive = PassiveWatch(), passive
        self.total = Seen(1000, 100)
        self.at(0)

    def at(self, now, well=0, failed=0):
        """So many more connections until *now*; returns the news."""
        connections, failures = self.total
        self.total = Seen(connections + well + failed, failures + failed)
        return self.watch.observe(now, {KEY: (self.total, self.passive)})


def inhibited(until, reason, times=1):
    """The news that the server is."""
    return [Suspicion(KEY, Inhibition(until, reason, times))]


RELEASED = [Suspicion(KEY, None)]


def test_a_server_where_too_much_fails_is_inhibited():
    """
    Over several observations within the window; it is released when the time is over.
    """
    server = Server()
    expected = inhibited(6.5, "5 of 9 connections came to nothing")

    assert [] == server.at(1, well=4, failed=3)
    assert expected == server.at(1.5, failed=2)
    assert expected[0].inhibition == server.watch.inhibited(KEY, 6.4)
    assert server.watch.inhibited(KEY, 6.5) is None
    assert [] == server.at(6.4)
    assert RELEASED == server.at(6.5)
    assert [] == server.at(7)


def test_what_was_counted_before_does_not_count():
    """
    The watch may begin long after the data path.
    """
    assert [] == Server().at(1)


def test_few_failures_are_no_reason():
    """
    Four, where five are wanted.
    """
    assert [] == Server().at(1, failed=4)


def test_failures_among_many_are_no_reason():
    """
    50 of 101 are less than half.
    """
    assert [] == Server().at(1, well=51, failed=50)


def test_what_is_older_than_the_window_is_no_reason():
    """
    Three failures, and three more two seconds later.
    """
    server = Server()

    assert [] == server.at(1, failed=3)
    assert [] == server.at(3, failed=3)


def test_failures_of_earlier_connections_count():
    """
    A connection fails a while after it began: there may be more failures than connections.
    """
    server = Server()
    connections, failures = server.total
    server.total = Seen(connections, failures + 5)

    assert inhibited(6, "5 of 5 connections came to nothing") == server.at(1)


def test_failures_during_an_inhibition_do_not_prolong_it():
    """
    Those connections began before.
    """
    server = Server()
    server.at(1, failed=5)

    assert [] == server.at(2, failed=100)
    assert RELEASED == server.at(6, failed=100)
    assert [] == server.at(6.5)


def test_one_failure_is_enough_on_probation_and_it_takes_longer_each_time():
    """
    5 s, 10 s, 15 s and no more, for none went well in between.
    """
    server = Server()
    server.at(1, failed=5)

    news = [server.at(6), server.at(7, failed=1), server.at(17), server.at(18, failed=1)]
    news += [server.at(33), server.at(100, failed=1)]

    reason = "1 of 1 connections came to nothing"
    expected = [RELEASED, inhibited(17, reason, 2)]
    expected += [RELEASED, inhibited(33, reason, 3), RELEASED, inhibited(115, reason, 4)]
    assert expected == news


def test_on_probation_the_ratio_still_counts():
    """
    One failure of four is no reason.
    """
    server = Server()
    server.at(1, failed=5)
    server.at(6)

    assert [] == server.at(7, well=3, failed=1)


def test_the_probation_ends_with_enough_connections():
    """
    Five went well: from now on five failures are wanted again.
    """
    server = Server()
    server.at(1, failed=5)
    server.at(6)
    server.at(7, well=5)

    assert [] == server.at(9.5, failed=4)
    assert inhibited(20, "5 of 5 connections came to nothing", 2) == server.at(10, failed=1)


def test_good_conduct_for_as_long_as_the_punishment_clears_the_record():
    """
    Released at 6 after 5 s: at 11 it begins again with the shortest.
    """
    server = Server()
    server.at(1, failed=5)
    server.at(6)
    server.at(11, well=1)

    assert [] == server.at(20, failed=4)
    assert inhibited(25.5, "5 of 5 connections came to nothing") == server.at(20.5, failed=1)


def test_to_do_nothing_is_no_good_conduct():
    """
    Without a connection nothing was proved: an hour later it is still on probation.
    """
    server = Server()
    server.at(1, failed=5)
    server.at(6)
    server.at(3600)

    assert inhibited(3611, "1 of 1 connections came to nothing", 2) == server.at(3601, failed=1)


def test_whoever_is_gone_is_forgotten():
    """
    An inhibition ends with it; should it come back, nothing is held against it.
    """
    server = Server()
    server.at(1, failed=5)

    assert RELEASED == server.watch.observe(2, {OTHER: (Seen(0, 0), PASSIVE)})
    assert [] == server.watch.observe(3, {})
    assert server.watch.inhibited(KEY, 3) is None
    assert [] == server.at(4)
    assert [] == server.at(5, failed=4)


def test_an_index_that_is_used_again_starts_over():
    """
    Totals that shrank began at 0 again, and what they are now is new.
    """
    server = Server()
    server.total = Seen(0, 0)

    assert inhibited(6, "5 of 5 connections came to nothing") == server.at(1, failed=5)


def test_the_longest_inhibition_may_not_be_shorter_than_the_first():
    """
    A configuration that says so means the first.
    """
    server = Server(PASSIVE.model_copy(update={"inhibit_max": 1}))

    assert inhibited(6, "5 of 5 connections came to nothing") == server.at(1, failed=5)


counts = st.builds(Seen, st.integers(0, 1000), st.integers(0, 1000))


@given(counts, counts)
def test_nothing_grows_by_less_than_nothing(before, now):
    """
    Whatever became of the totals.
    """
    assert min(growth(before, now)) >= 0


steps = st.lists(
    st.tuples(st.floats(0.01, 20), counts, st.sampled_from([(KEY,), (OTHER,), (KEY, OTHER), ()]))
)


@given(steps)
def test_news_are_true_and_alternate(steps):
    """
    Inhibited, released, inhibited: of each server in turn, for 5 to 15 seconds.
    """
    watch, now = PassiveWatch(), 0.0
    held: dict[object, Inhibition] = {}
    for pause, total, keys in steps:
        now += pause
        for key, inhibition in watch.observe(now, dict.fromkeys(keys, (total, PASSIVE))):
            assert (key in held) is (inhibition is None)
            if inhibition:
                held[key] = inhibition
                assert 5 <= round(inhibition.until - now, 6) <= 15
            else:
                del held[key]
        assert held == {key: found for key in held if (found := watch.inhibited(key, now))}


@given(st.lists(st.tuples(st.floats(0.01, 20), st.integers(0, 1000))))
def test_nobody_is_suspected_without_a_failure(steps):
    """
    However many connections there are.
    """
    server, now = Server(), 0.0
    for pause, well in steps:
        now += pause
        assert [] == server.at(now, well=well)
