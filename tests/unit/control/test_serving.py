"""Which pool serves: itself, its backup, all of its own in panic, or nobody."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbctl.control.master import Serving, serving
from lbctl.control.standing import Standing, Standings
from lbctl.model import Configuration, State
from tests.unit.control.fakes import ONE, TWO, configured, standings, web

ALL = 3  # back-ends of each pool of the property


def served(*pools: dict, found: Standings) -> tuple[str, bool] | None:
    """Who serves in the name of the pool web, and whether in panic."""
    configuration = configured(pools=pools)
    who = serving(configuration, found, configuration.pool("web"))
    return (who.pool.name, who.panicking) if who else None


def other(name: str, backup: str | None = None) -> dict:
    """A pool without VIP, with one back-end 10.0.1.11."""
    return web(1, name=name, vips=[], backup=backup)


def dead(*names: str) -> Standings:
    """The first back-end of each of these pools is down."""
    return Standings({(name, ONE): Standing(State.DOWN) for name in names}, {})


def test_a_pool_serves_itself_while_one_of_it_is_well():
    """The rest may be dead; with none left nobody serves."""
    assert served(web(1, 1), found=standings(ONE)) == ("web", False)
    assert served(web(1, 1), found=standings(ONE, TWO)) is None


def test_fewer_than_the_quorum_are_none():
    """The backup takes over, if there is one; a weight of 0 does not count as a server."""
    assert served(web(1, 1, quorum=2), found=standings()) == ("web", False)
    assert served(web(1, 1, quorum=2), found=standings(ONE)) is None
    assert served(web(1, 0, quorum=2), found=standings()) is None
    pools = web(1, 1, quorum=2, backup="spare"), other("spare")
    assert served(*pools, found=standings(ONE)) == ("spare", False)


def test_in_panic_all_are_asked():
    """A few would break down under the load of all, and perhaps the checks are wrong."""
    pool = web(1, 1, 1, 1, panic=0.5)

    assert served(pool, found=standings(ONE, TWO)) == ("web", False)
    three = standings(ONE, TWO)
    three.troubles["web", pool_address(3)] = Standing(State.DOWN)
    assert served(pool, found=three) == ("web", True)


def pool_address(number: int):
    """The address of the back-end of that number of the pool web."""
    return configured(pools=[web(*[1] * number)]).pools[0].backends[-1].address


def test_a_backup_goes_before_panic():
    """Panic is what is left when nobody else is well."""
    pools = web(1, 1, panic=0.9, backup="spare"), other("spare")

    assert served(*pools, found=standings(ONE, TWO)) == ("spare", False)
    troubles = {**standings(ONE, TWO).troubles, **dead("spare").troubles}
    assert served(*pools, found=Standings(troubles, {})) == ("web", True)


def test_a_backup_has_a_backup():
    """The first that is well serves."""
    pools = web(1, backup="second"), other("second", "third"), other("third")

    assert served(*pools, found=dead("web")) == ("second", False)
    assert served(*pools, found=dead("web", "second")) == ("third", False)
    assert served(*pools, found=dead("web", "second", "third")) is None


def test_panic_is_the_pools_own():
    """A backup that panics serves as well, before the pool itself does."""
    pools = web(1, panic=1, backup="spare"), {**other("spare"), "panic": 1}

    assert served(*pools, found=dead("web", "spare")) == ("spare", True)


# -- against a plain model -----------------------------------------------------------------

flags = st.lists(st.booleans(), min_size=ALL, max_size=ALL)
pools = st.tuples(flags, flags, st.integers(0, ALL), st.sampled_from([0, 0.34, 0.5, 1.0]))


def model(described: list[tuple], number: int) -> tuple[int, bool] | None:
    """Who serves for pool *number*, whose backup is the next: (number, in panic)."""
    wanted, well, quorum, panic = described[number]
    all_, good = sum(wanted), sum(w and g for w, g in zip(wanted, well, strict=True))
    panicking = good < panic * all_
    if good and good >= quorum and not panicking:
        return number, False
    later = model(described, number + 1) if number + 1 < len(described) else None
    return later or ((number, True) if panicking else None)


@given(st.lists(pools, min_size=1, max_size=4))
def test_serving_is_as_a_plain_model_says(described):
    """For every chain of backups, with any of their servers wanted or not, well or not."""
    values, troubles = [], {}
    for number, (wanted, well, quorum, panic) in enumerate(described):
        backup = f"p{number + 1}" if number + 1 < len(described) else None
        fields = {"name": f"p{number}", "vips": [], "backup": backup}
        values.append(web(*map(int, wanted), quorum=quorum, panic=panic, **fields))
        for position, good in enumerate(well):
            if not good:
                key = (f"p{number}", pool_address(position + 1))
                troubles[key] = Standing(State.DOWN)
    configuration: Configuration = configured(pools=values)
    expected = model(described, 0)

    who = serving(configuration, Standings(troubles, {}), configuration.pools[0])

    assert who == (Serving(configuration.pools[expected[0]], expected[1]) if expected else None)
