"""
The server of the page: files for anybody, the API for who bears the token, and no way elsewhere.
"""

from __future__ import annotations

import pytest

from lbctl.control.page import create_page
from lbctl.control.page.server import API, STATIC, TYPES
from lbctl.shared.abi import VERDICT_NOTES
from tests.unit.control.client import Client

TOKEN = "0123456789abcdef0123456789abcdef"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
FILES = sorted(f"/{path.name}" for path in STATIC.iterdir())
CALLS = ["/v1/status", "/v1/verdicts", *API]


@pytest.fixture
def page(app, controller):
    """The page of a switch with the NIC eth0, and nobody's token."""
    app.state.controller = controller
    return Client(create_page(app, TOKEN))


@pytest.mark.parametrize("path", ["/", *FILES])
def test_files_are_for_anybody(page, path):
    """They hold no data; each has the type that a browser insists on."""
    answer = page.get(path)

    file = STATIC / (path[1:] or "index.html")
    assert 200 == answer.status_code
    assert file.read_bytes() == answer.content
    assert TYPES[file.suffix] == answer.headers["Content-Type"]


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer 0123"}, {"Authorization": TOKEN}])
def test_data_are_for_who_bears_the_token(page, path, given):
    """Without it, with a wrong one, with one in the wrong form: one line and no data."""
    answer = page.request("GET", path, headers=given)

    assert 401 == answer.status_code
    assert {"error", "exit_code"} == set(answer.json())


def test_with_the_token_the_api_answers(page):
    """As on every other listener, changes included."""
    status = page.request("GET", "/v1/status", headers=BEARER)
    undone = page.request("POST", "/v1/generations/0/rollback", headers=BEARER)

    assert ("default", 1) == (status.json()["name"], status.json()["generation"])
    assert 2 == undone.json()["generation"]


@pytest.mark.parametrize("path", ["/", "/main.js", "/nothing", *CALLS])
def test_every_answer_keeps_the_page_to_itself(page, path):
    """Nothing from elsewhere, nothing inline, no frame around it, no guessing of types."""
    answer = page.request("GET", path, headers=BEARER)

    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} < set(policy)
    assert {"connect-src 'self'", "img-src 'self'", "frame-ancestors 'none'"} < set(policy)
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "nosniff" == answer.headers["X-Content-Type-Options"]
    assert "DENY" == answer.headers["X-Frame-Options"]
    assert "no-referrer" == answer.headers["Referrer-Policy"]
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("path", "kept"), [("/v1/status", "no-store"), ("/style", "no-store"), ("/", "no-cache")]
)
def test_no_data_stay_in_a_cache(page, path, kept):
    """Files may stay there, and are asked for again each time."""
    assert kept == page.request("GET", path, headers=BEARER).headers["Cache-Control"]


def test_a_file_is_sent_once(page):
    """Who has it already is told so."""
    first = page.get("/base.css")
    again = page.request("GET", "/base.css", headers={"If-None-Match": first.headers["ETag"]})

    assert (304, b"") == (again.status_code, again.content)
    assert first.headers["ETag"] == again.headers["ETag"]


@pytest.mark.parametrize(
    "path",
    [
        "/../server.py",
        "/%2e%2e/server.py",
        "/..%2fserver.py",
        "/static/main.js",
        "/main.js/",
        "/.//main.js",
        "/main.js%00",
        "/MAIN.JS",
        "/server.py",
        "/v1",
        "/docs",
        "/openapi.json/",
    ],
)
def test_there_is_no_way_elsewhere(page, path):
    """A path names a file of the page exactly, or nothing."""
    answer = page.request("GET", path, headers=BEARER)

    assert 404 == answer.status_code
    assert "there is no such page; see /" in answer.json()["error"]


def test_head_has_all_but_the_body(page):
    """Tools look that way whether it is there."""
    whole, head = page.get("/"), page.request("HEAD", "/")

    assert (200, b"") == (head.status_code, head.content)
    assert whole.headers == head.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_files_can_only_be_read(page, method):
    """The answer says what can be done."""
    answer = page.request(method, "/main.js")

    assert (405, "GET, HEAD") == (answer.status_code, answer.headers["Allow"])


def test_every_verdict_is_explained(page):
    """Its name, cause and cure, and whether such packets are lost."""
    found = page.request("GET", "/v1/verdicts", headers=BEARER).json()

    assert [verdict.name for verdict in VERDICT_NOTES] == [one["name"] for one in found]
    assert all(one["note"] for one in found)
    dropped = {one["name"] for one in found if one["is_drop"]}
    assert {"DROP_NO_SERVICE", "DROP_TTL_EXPIRED"} < dropped
    assert {"TO_BACKEND", "RESET"}.isdisjoint(dropped)
