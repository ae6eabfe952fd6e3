"""
The status page in a real browser, over a switch with traffic: what it shows is what the switch has.
"""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.netns.browser import DRIVER, Browser
from tests.netns.live import SMALL, Switch, connect, datagrams, network, until, vip4

PORT, VIP = 8470, 30
URL = f"http://127.0.0.1:{PORT}/"
TOKEN = "correct-horse-battery-staple"
CHECK = {"check": "tcp", "interval": 0.5, "timeout": 0.5}
MARKUP = '<img src=x onerror="document.title=1">'
SEARCHED = 60  # presses of Tab until something must have had the focus
# Keeps account of what the page has under way: timers of a second and more, and requests.
ACCOUNT = """
window.pending = new Set();
window.asked = 0;
const [later, never, ask] = [setTimeout, clearTimeout, fetch];
window.setTimeout = (work, delay, ...rest) => {
  const number = later((...given) => { pending.delete(number); work(...given); }, delay, ...rest);
  if (delay >= 1000) pending.add(number);
  return number;
};
window.clearTimeout = (number) => { pending.delete(number); never(number); };
window.fetch = (...given) => {
  const answer = ask(...given);
  asked += 1;
  pending.add(answer);
  const over = () => pending.delete(answer);
  answer.then(over, over);
  return answer;
};
window.hide = (hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
};
"""


@pytest.fixture(scope="module")
def live():
    """A switch that serves the page, with the pool web."""
    if not Path(DRIVER).exists():
        pytest.skip(f"{DRIVER} is missing; run `sudo make setup`")
    with network() as bed:
        made = Switch(bed)
        begin(made)
        made.lbctl("attach", *bed.plan.nics)
        backends = [{"address": address} for address in made.backends()]
        pool = {"name": "web", "vips": [f"{vip4(VIP)}:80/tcp"], "backends": backends}
        made.apply({**made.export(), "pools": [{**pool, "health": CHECK}]})
        yield made


def begin(live):
    """Start the daemon with its page."""
    live.bed.folder.mkdir(parents=True, exist_ok=True)
    token = live.bed.folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    live.start(*SMALL, f"--page-listen=127.0.0.1:{PORT}", f"--token-file={token}")


@pytest.fixture(scope="module")
def browser(live, tmp_path_factory):
    """A browser where the page can be reached, signed in."""
    with Browser(live.bed.switch, tmp_path_factory.mktemp("browser")) as browser:
        browser.prepare(ACCOUNT)
        browser.show(1440, 900)
        browser.open(URL)
        browser.press(TOKEN, "ENTER")
        shown(browser)
        yield browser


@pytest.fixture
def page(browser):
    """The page as it is when it has been opened, without complaints."""
    browser.show(1440, 900)
    browser.open(URL)
    shown(browser)
    browser.complaints()
    return browser


def shown(browser):
    """Wait until there are back-ends to be seen."""
    until(lambda: browser.rows("#pool-list"), "the page stays empty")


def figure(browser, name):
    """One of the figures at the top."""
    names, values = browser.texts("#glance dt"), browser.texts("#glance .value")
    return dict(zip(names, values, strict=True))[name]


def tab_to(browser, text):
    """Press Tab until what has the focus begins with that text."""
    for _ in range(SEARCHED):
        if browser.focused().startswith(text):
            return
        browser.press("TAB")
    pytest.fail(f"Tab never comes to {text!r}; it ended at {browser.focused()!r}")


def test_only_the_right_token_opens(page):
    """
    A wrong one says so; the token is asked for once in a tab.
    """
    tab_to(page, "Sign out")
    page.press("ENTER")
    assert "token" == page.focused()
    page.press("no-such-token", "ENTER")
    until(lambda: page.text("#login-error"), "no refusal")

    assert "That is not the token of this switch." == page.text("#login-error")
    assert page.js("document.querySelector('#view').hidden")
    page.press(TOKEN, "ENTER")
    until(lambda: not page.js("document.querySelector('#view').hidden"), "it does not open")
    page.open(URL)
    shown(page)
    assert "" == page.js("document.cookie")


def test_figures_are_those_of_the_command_line(live, page):
    """
    Connections, back-ends, shares, drops and packets, when nothing moves any more.
    """
    plugs = [live.inside("client0", connect, vip4(VIP), 80) for _ in range(5)]
    with live.inside("client0", datagrams) as plug:
        for _ in range(7):
            plug.sendto(b"x", (vip4(VIP), 9))
    until(lambda: page.rows("#drops-table"), "no drops are shown")

    def agreed():
        rows = page.rows("#pool-list")
        return sum(int(row[4]) for row in rows) == len(plugs) and page.rows("#drops-table")

    until(agreed, "the connections are not shown")
    (pool,) = live.json("pool", "list")
    (drop,) = live.json("drops")
    for row, backend in zip(page.rows("#pool-list"), pool["backends"], strict=True):
        told = [backend["state"], backend["address"], str(backend["connections"])]
        assert told == [row[0].split("\n")[0], row[1], row[4]]
    for word, name in (("wanted", "wanted"), ("given", "share")):
        expected = [f"{word} {100 * backend[name]:.1f} %" for backend in pool["backends"]]
        assert expected == [text for text in page.texts("#pool-list .share") if word in text]
    assert [drop["reason"], str(drop["packets"])] == [
        page.rows("#drops-table")[0][i].split("\n")[0] for i in (0, 3)
    ]
    used = live.json("status")["connections"]["used"]
    assert (str(used), "3 of 3") == (figure(page, "Connections"), figure(page, "Back-ends"))
    for plug in plugs:
        plug.close()


def test_rates_are_shown_while_packets_come(live, page):
    """
    On the drawing's lines and in the figures; the switch counts them, not the page.
    """
    with live.crowd(f"http://{vip4(VIP)}/"):
        until(lambda: figure(page, "Packets")[0] in "123456789", "there is no rate")
        labels = until(lambda: page.texts("#drawing .labels .rate"), "no line has a rate")

        assert any(text.endswith("→") for text in labels)
        assert live.bed.plan.nics[0] in page.js("document.querySelector('#drawing').textContent")


def test_what_the_command_line_changes_is_seen(live, page):
    """
    A drained back-end within seconds, by a word and not by colour alone; and the event.
    """
    address = live.backends()[0]
    live.lbctl("backend", "drain", "web", address)

    def states():
        return [row[0].split("\n")[0] for row in page.rows("#pool-list")]

    until(lambda: states() == ["draining", "active", "active"], "it is not shown as draining")
    until(lambda: f"web {address}" in page.text("#event-list"), "there is no event")
    live.lbctl("backend", "restore", "web", address)
    until(lambda: states() == ["active"] * 3, "it is not shown as active again")


def test_programs_on_the_switch(live, page):
    """
    How each stands, and what to type; where there are none, nothing is said of them.
    """
    assert page.js("document.querySelector('#programs').hidden")
    live.lbctl("app", "add", "voip", "--vip", f"{vip4(VIP + 1)}:5060/udp")
    live.lbctl("pseudo", "add", "lb0", "--address", vip4(VIP + 2))
    until(lambda: page.rows("#pseudo-table"), "they are not shown")
    ((state, name, _, total, lost, process),) = page.rows("#apps-table")
    (pseudo,) = page.rows("#pseudo-table")

    told = [text.split("\n") for text in (state, name, process)]
    start = " ".join(live.json("app", "show", "voip")["next"].split())
    assert [["stopped"], ["voip", f"{vip4(VIP + 1)}:5060/udp"]] == told[:2]
    assert ["\N{EN DASH}", start] == told[2]
    assert ("0", "0") == (total, lost)
    assert ["up", f"lb0\n{vip4(VIP + 2)}/32"] == pseudo[:2]
    page.show(360, 900)
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
    assert "null" not in page.text("#connections-pools")
    live.lbctl("app", "remove", "voip")
    live.lbctl("pseudo", "remove", "lb0")
    until(lambda: page.js("document.querySelector('#programs').hidden"), "they stay")
    assert [] == page.complaints()


def test_a_roll_back_needs_no_mouse(live, page):
    """
    The difference first, then the button; it is made in the name of the page.
    """
    live.lbctl("backend", "set", "web", live.backends()[0], "--weight", "7")
    number = live.generation
    until(lambda: page.text("#generations-active") == f"{number} is active", "it is not shown")

    tab_to(page, f"Roll back… generation {number - 1}")
    page.press("ENTER")
    until(lambda: page.text("#dialog-diff"), "no difference is shown")
    assert "weight 7 -> 1" in page.text("#dialog-diff")
    assert number == live.generation
    tab_to(page, f"Roll back to {number - 1}")
    page.press("ENTER")

    until(lambda: live.generation == number + 1, "nothing is rolled back")
    assert "page" == live.json("generations")[0]["who"]
    assert [1, 1, 1] == [one["weight"] for one in live.json("backend", "list", "web")]
    until(lambda: not page.js("document.querySelector('#dialog').open"), "the dialog stays")


def test_a_dialog_is_left_by_escape(live, page):
    """
    Nothing has changed, and the focus is where it was.
    """
    number = live.generation
    tab_to(page, "Compare generation")
    before = page.focused()
    page.press("ENTER")
    until(lambda: page.text("#dialog-note"), "no comparison")
    page.press("ESCAPE")

    assert (before, number) == (page.focused(), live.generation)


def test_warnings_are_seen_and_read_aloud(live, page):
    """
    In a region that screen readers follow; the command in one is told from the words around it.
    """
    backends = live.backends()
    for address in backends:
        live.lbctl("backend", "drain", "web", address)
    (warning,) = live.warnings()

    until(lambda: page.texts("#warnings-list li") == [warning.replace("`", "")], "it is not shown")
    assert f"Warnings: {warning}" == page.text("#spoken[aria-live=polite]")
    assert page.texts("#warnings-list code")[0] in warning
    for address in backends:
        live.lbctl("backend", "restore", "web", address)
    until(lambda: page.js("document.querySelector('#warnings').hidden"), "it stays")


def test_names_are_text(live, page):
    """
    Markup in a name that somebody gave is shown as it is, and does nothing.
    """
    transport = httpx.HTTPTransport(uds=str(live.socket))
    with httpx.Client(transport=transport, base_url="http://lbctl") as client:
        change, who = {"weight": 3}, {"X-Lbctl-Who": MARKUP}
        path = f"/v1/pools/web/backends/{live.backends()[1]}"
        assert 200 == client.patch(path, json=change, headers=who).status_code

    until(lambda: MARKUP in page.text("#generations-table"), "it is not shown")
    assert not page.js("document.querySelector('img, main script')")
    assert [] == page.complaints()


def test_a_tab_that_nobody_sees_asks_nothing(page):
    """
    No timer and no request is left; when it is seen again it goes on.
    """
    page.js("hide(true)")
    until(lambda: page.js("pending.size") == 0, "it still asks")

    asked = page.js("asked")
    page.js("hide(false)")
    until(lambda: page.js("asked") > asked, "it does not ask again")


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_is_quiet(page, tmp_path, width, scheme):
    """
    Nothing sticks out, the colours are those wanted, nothing moves, and nobody else is asked.
    """
    page.show(width, 900, scheme, reduced_motion=True)
    page.shot(tmp_path / f"{width}-{scheme}.png")
    root = "document.documentElement"

    assert page.js(f"{root}.scrollWidth <= innerWidth")
    background = page.js("getComputedStyle(document.body).backgroundColor")
    shade = sum(map(int, background.removeprefix("rgb(").removesuffix(")").split(",")))
    assert (scheme == "dark") == (shade < 3 * 128)
    assert "auto" == page.js(f"getComputedStyle({root}).scrollBehavior")
    assert [] == page.complaints()
    others = {u for u in page.requests() if not u.startswith((URL, "chrome:", "data:", "about:"))}
    assert set() == others


def test_a_restart_of_the_daemon_is_survived(live, page):
    """
    The page says that nobody answers, keeps what it knew, and goes on by itself.
    """
    live.end()
    until(lambda: page.text("#silence"), "it does not notice")
    assert "lbctld does not answer. What is shown is from " in page.text("#silence")
    assert 3 == len(page.rows("#pool-list"))

    begin(live)
    until(lambda: page.js("document.querySelector('#silence').hidden"), "it does not go on")
    live.lbctl("backend", "drain", "web", live.backends()[2])
    until(lambda: "draining" in page.rows("#pool-list")[2][0], "it shows nothing new")
    assert {"network"} == {source for source, _ in page.complaints()}
