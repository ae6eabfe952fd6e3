"""The API of what is found out about back-ends: health, load agents, events."""

from __future__ import annotations

import threading

import pytest

from lbctl.agent.wire import LoadReport
from lbctl.control.health.record import Health
from lbctl.control.health.target import Outcome
from lbctl.control.journal import Journal
from lbctl.control.supervision.counts import Counts
from lbctl.control.supervision.supervisor import Supervisor
from tests.unit.control.fakes import ONE, TWO, web

AGENT = {"address": "10.0.1.11:9777", "kind": "haproxy"}
SPARE = {"name": "spare", "backends": [{"address": "10.0.2.1:8080"}]}


@pytest.fixture
def supervisor(controller, tmp_path):
    """The one of the controller; its loop does not run."""
    journal = Journal(tmp_path / "journal")
    controller.watch = Supervisor(Counts(controller.dataplane), journal)
    yield controller.watch
    journal.close()


@pytest.fixture
def looks(supervisor, monkeypatch) -> list[int]:
    """How often the journal was asked for events."""
    asked, events = [], supervisor.journal.events

    def counting(**which):
        asked.append(1)
        return events(**which)

    monkeypatch.setattr(supervisor.journal, "events", counting)
    return asked


@pytest.fixture
def checked(client, supervisor):
    """A client of a switch whose pool web has a check and passive health."""
    pool = web(1, 3, health={"check": "tcp"}, passive={"failures": 1})
    assert client.post("/v1/pools", json=pool).status_code == 200
    assert supervisor.health.health("web", ONE)
    return client


def reading(agent: str = AGENT["address"], age: float = 0.0, **report) -> dict:
    """What a resource manager elsewhere sends of one agent."""
    return {"agent": agent, "report": report, "age_seconds": age}


# -- health --------------------------------------------------------------------------------


def test_health_is_shown_as_it_was_found(checked, supervisor):
    """Null before the first look."""
    found = Health(up=True, reason="200 in 3 ms", since=60.0, successes=7, response_seconds=0.003)
    supervisor.health._health["web", ONE] = found
    checked.post("/v1/pools", json=SPARE)  # it has no check

    first, second = checked.get("/v1/health").json()

    assert first == {
        "pool": "web",
        "address": "10.0.1.11:8080",
        "check": "tcp",
        "up": True,
        "reason": "200 in 3 ms",
        "since": "1970-01-01T00:01:00Z",
        "successes": 7,
        "failures": 0,
        "response_seconds": 0.003,
        "inhibited_until": None,
    }
    assert (second["up"], second["reason"]) == (None, "not checked yet")
    assert checked.get("/v1/health?pool=web").json() == [first, second]
    assert checked.get("/v1/health?pool=spare").json() == []
    assert checked.get("/v1/health?pool=nope").status_code == 404


def test_an_inhibition_is_shown_with_its_end(checked, supervisor, controller):
    """Whatever the check says."""
    for connections, resets in ((0, 0), (10, 10)):
        row = controller.dataplane.traffic[0]
        row["connections"], row["resets"] = connections, resets
        supervisor.standings(controller.configuration)

    first, second = checked.get("/v1/health").json()

    assert first["reason"] == "inhibited: 10 of 10 connections came to nothing"
    assert first["inhibited_until"].startswith("20")
    assert second["inhibited_until"] is None


def test_a_back_end_is_looked_at_now(checked, supervisor):
    """What is found does not count."""
    asked = []

    async def look(target) -> Outcome:
        asked.append(target.address)
        return Outcome(ok=False, reason="connection refused", seconds=0.5)

    supervisor.health._look = look
    which = {"pool": "web", "address": "10.0.1.12:8080"}

    answer = checked.post("/v1/health/check", json=which).json()

    assert answer == {"ok": False, "reason": "connection refused", "seconds": 0.5}
    assert asked == [TWO]
    assert checked.get("/v1/health").json()[1]["up"] is None
    for wrong in ({**which, "pool": "nope"}, {**which, "address": "10.0.9.9:1"}):
        assert checked.post("/v1/health/check", json=wrong).status_code == 404


# -- agents --------------------------------------------------------------------------------


def test_an_agent_lives(checked):
    """Added, heard, removed: each change a generation."""
    new = checked.post("/v1/agents", json=AGENT).json()
    assert (new["state"], new["backends"]) == ("waiting", ["10.0.1.11:8080"])
    taken = checked.post(
        "/v1/agents/readings", json={"readings": [reading(cpu=0.5, wish="drain", reason="night")]}
    )
    assert taken.json() == {"taken": 1}

    (agent,) = checked.get("/v1/agents").json()
    assert {**agent, "age_seconds": 0} == {
        "address": "10.0.1.11:9777",
        "kind": "haproxy",
        "state": "fresh",
        "backends": ["10.0.1.11:8080"],
        "age_seconds": 0,
        "report": {
            "cpu": 0.5,
            "memory": None,
            "utilization": None,
            "clients": None,
            "requests_per_second": None,
            "execution_seconds": None,
            "weight": None,
            "wish": "drain",
            "reason": "night",
        },
        "answers": 1,
        "failures": 0,
        "refused": 0,
        "problem": None,
    }
    assert checked.get("/v1/agents/10.0.1.11:9777").json()["report"] == agent["report"]
    gone = checked.delete("/v1/agents/10.0.1.11:9777").json()
    assert gone == {"generation": 4, "changes": ["- agent 10.0.1.11:9777"]}
    assert checked.get("/v1/agents").json() == []
    assert [g["what"] for g in checked.get("/v1/generations").json()][:2] == [
        "agent remove 10.0.1.11:9777",
        "agent add 10.0.1.11:9777",
    ]


def test_an_agent_may_name_its_back_ends(checked):
    """Then it tells of those only; an old word makes it silent."""
    checked.post("/v1/agents", json={**AGENT, "backends": ["10.0.1.12:8080"]})
    old = reading(age=11, cpu=0.5)
    checked.post("/v1/agents/readings", json={"readings": [old]})

    agent = checked.get("/v1/agents/10.0.1.11:9777").json()

    assert (agent["backends"], agent["state"]) == (["10.0.1.12:8080"], "silent")


def test_a_resource_manager_elsewhere_reads_whom_to_ask(checked):
    """All agents as they are configured."""
    checked.post("/v1/agents", json={**AGENT, "interval": 2})

    (agent,) = checked.get("/v1/agents/configuration").json()

    assert (agent["address"], agent["kind"], agent["interval"]) == ("10.0.1.11:9777", "haproxy", 2)


def test_readings_are_taken_as_a_whole_or_not_at_all(checked, supervisor):
    """One bad one, and none counts; those of strangers are ignored."""
    checked.post("/v1/agents", json=AGENT)
    bad = [reading(cpu=0.5), reading("10.0.1.12:9777", cpu=-1)]

    refused = checked.post("/v1/agents/readings", json={"readings": bad})

    assert (refused.status_code, refused.json()["exit_code"]) == (400, 2)
    assert refused.json()["error"].startswith("agent 10.0.1.12:9777: ")
    assert supervisor.resources.reading(ONE) is None
    good = [reading(cpu=0.5), reading("10.0.1.12:9777", cpu=0.5)]
    assert checked.post("/v1/agents/readings", json={"readings": good}).json() == {"taken": 1}
    assert supervisor.resources.reading(ONE)[1].report == LoadReport(cpu=0.5)


REFUSED = {
    "no such agent": ("GET", "/v1/agents/10.0.1.9:1", None, 404, "there is no agent 10.0.1.9:1"),
    "no agent to remove": (
        "DELETE",
        "/v1/agents/10.0.1.9:1",
        None,
        404,
        "there is no agent 10.0.1.9:1; see `lbctl agent list`",
    ),
    "a bad address": (
        "GET",
        "/v1/agents/here",
        None,
        400,
        "agent: 'here' is not ADDRESS:PORT",
    ),
    "an agent that exists": (
        "POST",
        "/v1/agents",
        AGENT,
        409,
        "remove it first with `lbctl agent remove 10.0.1.11:9777`",
    ),
    "an agent without its key": (
        "POST",
        "/v1/agents",
        {"address": "10.0.1.12:9777"},
        400,
        "agent 10.0.1.12:9777: kind lbctl needs a key_file",
    ),
    "an old age": (
        "POST",
        "/v1/agents/readings",
        {"readings": [reading(age=-1)]},
        400,
        "readings[0].age_seconds: must be greater than or equal to 0",
    ),
    "too long a wait": ("GET", "/v1/events?wait=3600", None, 400, "wait: must be less than"),
    "a negative number": ("GET", "/v1/events?after=-1", None, 400, "after: must be greater"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_in_one_line(checked, controller, case):
    """And changes nothing."""
    method, path, body, status, text = case
    checked.post("/v1/agents", json=AGENT)

    answer = checked.request(method, path, json=body)

    assert answer.status_code == status
    assert text in answer.json()["error"]
    assert controller.current.number == 3


def test_without_a_supervisor_nothing_is_known(served):
    """One line, as ever."""
    for path in ("/v1/health", "/v1/agents", "/v1/events"):
        answer = served.get(path)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith("nobody watches the back-ends of this switch")


# -- events --------------------------------------------------------------------------------


def told(client, query: str = "") -> list[str]:
    """The texts of events."""
    return [event["text"] for event in client.get(f"/v1/events{query}").json()]


def test_events_are_listed_oldest_first(client, supervisor):
    """The newest so many, those after a number, or those of a kind."""
    for number in range(1, 5):
        supervisor.tell("health" if number % 2 else "load", "web", f"event {number}")

    (event,) = client.get("/v1/events?limit=1").json()
    assert {**event, "time": event["time"][-1]} == {
        "number": 4,
        "time": "Z",
        "kind": "load",
        "subject": "web",
        "text": "event 4",
    }
    assert told(client, "?after=1&limit=2") == ["event 2", "event 3"]
    assert told(client, "?kind=health") == ["event 1", "event 3"]
    assert told(client, "?after=4") == told(client, "?after=4&wait=0.01") == []


def test_whoever_waits_is_answered_when_something_happens(client, supervisor):
    """And not before."""
    supervisor.tell("health", "web", "old")
    answers: list[list[str]] = []
    asker = threading.Thread(target=lambda: answers.append(told(client, "?after=1&wait=30")))
    asker.start()
    supervisor.tell("health", "web", "new")
    asker.join(10)

    assert answers == [["new"]]


def test_nobody_waits_for_events_of_the_past(client, looks):
    """Without `after` the answer is what there is."""
    assert (told(client, "?wait=60"), looks) == ([], [1])


def test_a_daemon_that_ends_lets_nobody_wait(client, looks, controller):
    """It would be cut off anyway."""
    controller.leaving = True

    assert (told(client, "?after=0&wait=60"), looks) == ([], [1])
