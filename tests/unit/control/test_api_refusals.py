"""The API refuses in one form, with the exit status for the command line, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lbctl.errors import LbctlError, NotPermitted
from tests.unit.control.fakes import ONE, VIP, web

if TYPE_CHECKING:
    import httpx


def refusal(answer: httpx.Response) -> tuple[int, int, str]:
    """HTTP status, exit code and text of a refusal, which has no other fields."""
    body = answer.json()
    assert set(body) == {"error", "exit_code"}
    assert "\n" not in body["error"]
    return answer.status_code, body["exit_code"], body["error"]


REFUSED = {
    "no such pool": ("GET", "/v1/pools/nope", None, 404, 3, "there is no pool 'nope'"),
    "no such pool to change": ("PATCH", "/v1/pools/nope", {}, 404, 3, "there is no pool 'nope'"),
    "no such generation": ("GET", "/v1/generations/99", None, 404, 3, "generation 99 is not kept"),
    "no such NIC": ("POST", "/v1/nics", {"name": "eth7"}, 404, 3, "there is no NIC 'eth7' here"),
    "one of several is no NIC": (
        "POST",
        "/v1/nics",
        {"nics": [{"name": "eth1"}, {"name": "eth7"}]},
        404,
        3,
        "there is no NIC 'eth7' here",
    ),
    "one of several is not attached": (
        "DELETE",
        "/v1/nics?name=eth0&name=eth7",
        None,
        404,
        3,
        "NIC 'eth7' is not attached",
    ),
    "a bad mode": ("POST", "/v1/nics", {"name": "a", "mode": "x"}, 400, 2, "mode: must be 'auto'"),
    "a bad mode among several": (
        "POST",
        "/v1/nics",
        {"nics": [{"name": "eth0"}, {"name": "eth1", "mode": "x"}]},
        400,
        2,
        "nics[1].mode: must be 'auto'",
    ),
    "no NIC at all": ("POST", "/v1/nics", {"nics": []}, 400, 2, "nics: "),
    "detaching nothing": ("DELETE", "/v1/nics", None, 400, 2, "name: is missing"),
    "not attached": ("DELETE", "/v1/nics/eth7", None, 404, 3, "NIC 'eth7' is not attached"),
    "no such call": ("GET", "/v1/nope", None, 404, 3, "GET /v1/nope: there is no such call"),
    "wrong method": ("PUT", "/v1/pools", None, 400, 2, "PUT /v1/pools: Method Not Allowed"),
    "exists": ("POST", "/v1/pools", {"name": "web"}, 409, 4, "pool 'web' exists already"),
    "VIP taken": (
        "POST",
        "/v1/pools",
        {"name": "new", "vips": [str(VIP)]},
        409,
        4,
        "VIP 203.0.113.10:80/tcp belongs to pool 'web'",
    ),
    "misspelt key": (
        "POST",
        "/v1/pools",
        {"name": "a", "vip": "x"},
        400,
        2,
        "vip: there is no such",
    ),
    "misspelt parameter": (
        "DELETE",
        "/v1/connections?backends=10.0.1.11:8080",
        None,
        400,
        2,
        "backends: there is no such key",
    ),
    "bad weight": (
        "PATCH",
        "/v1/pools/web/backends/10.0.1.11:8080",
        {"weight": -1},
        400,
        2,
        "weight: must be greater than or equal to 0, not -1",
    ),
    "bad address in a path": (
        "DELETE",
        "/v1/pools/web/backends/10.0.1.11",
        None,
        400,
        2,
        "back-end: '10.0.1.11' is not ADDRESS:PORT",
    ),
    "bad VIP in a path": (
        "DELETE",
        "/v1/pools/web/vips/203.0.113.10:80",
        None,
        400,
        2,
        "vip: '203.0.113.10:80' is not ADDRESS:PORT/PROTOCOL",
    ),
    "bad client": ("GET", "/v1/connections?client=me", None, 400, 2, "client: 'me' is not ADDRESS"),
    "bad number": ("GET", "/v1/generations/x", None, 400, 2, "number: must be a whole number"),
    "a contradiction": (
        "PATCH",
        "/v1/pools/web",
        {"forward": "dsr"},
        400,
        2,
        "pool 'web': dsr cannot change the port",
    ),
    "a whole bad file": (
        "POST",
        "/v1/configuration",
        {"version": 1, "pools": [{"name": "web", "backends": [{"host": "x"}]}]},
        400,
        2,
        "pools[0].backends[0].address: is missing (and 1 more)",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_a_refusal_has_one_form_and_changes_nothing(served, controller, case):
    """Status, exit code, one line."""
    method, path, body, status, code, text = case

    answer = served.request(method, path, json=body)

    assert refusal(answer)[:2] == (status, code)
    assert text in refusal(answer)[2]
    assert controller.current.number == 2


def test_a_body_that_is_no_json_is_a_usage_error(client):
    """With the place where it ends to be."""
    answer = client.post("/v1/pools", content="{", headers={"Content-Type": "application/json"})

    assert refusal(answer)[:2] == (400, 2)
    assert "not valid JSON" in refusal(answer)[2]


def test_a_back_end_that_does_not_answer_is_exit_status_1(client, controller):
    """And can be forced."""
    controller.routing.unreachable = {ONE.address: "10.0.1.11: it does not answer"}

    assert refusal(client.post("/v1/pools", json=web(1))) == (
        422,
        1,
        "back-end 10.0.1.11:8080 of pool 'web' cannot be reached: 10.0.1.11: it does not answer",
    )
    assert client.post("/v1/pools?force=true", json=web(1)).status_code == 200


def test_a_bug_is_told_as_one_and_logged(client, controller, monkeypatch):
    """Exit status 1, never a page of HTML."""
    monkeypatch.setattr(controller.dataplane.connections, "used", lambda: 1 // 0)

    status, code, text = refusal(client.get("/v1/status"))

    assert (status, code) == (500, 1)
    assert text.startswith("internal error: GET /v1/status: ZeroDivisionError")


@pytest.mark.parametrize(("error", "status"), [(LbctlError("no"), 422), (NotPermitted("no"), 403)])
def test_errors_from_below_keep_their_exit_status(client, controller, error, status):
    """Whatever the switch raises."""
    controller.dataplane.fail = {"ensure": error}

    answer = client.post("/v1/pools", json={"name": "new"})

    assert refusal(answer) == (status, error.exit_code, "no")
