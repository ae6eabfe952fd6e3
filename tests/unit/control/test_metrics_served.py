"""How the metrics are served: in which form, to whom, how often."""

from __future__ import annotations

import gzip
import subprocess
import sys

import pytest
from prometheus_client import parser as plain
from prometheus_client.openmetrics import parser as openmetrics

from lbctl.control.endpoints import metrics
from lbctl.control.metrics.exporter import Exporter
from lbctl.control.sockets import TokenGate
from tests.unit.control.client import Client

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


@pytest.fixture
def alone(controller):
    """A client of the listener that has the metrics and nothing else."""
    return Client(metrics.alone(metrics.Metrics(controller)))


def test_the_listener_has_metrics_and_nothing_else(alone):
    """
    Nothing of the API, and nothing can be changed.
    """
    assert "lbctl_generation 1" in alone.get("/metrics").text
    paths = ("/", "/v1/status", "/openapi.json")
    assert {404} == {alone.get(path).status_code for path in paths}
    assert 405 == alone.post("/metrics").status_code


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ],
)
def test_the_form_is_the_one_that_was_asked_for(alone, accept, form):
    """
    The text format unless OpenMetrics is welcome.
    """
    answer = alone.request("GET", "/metrics", headers={"Accept": accept})

    assert answer.headers["Content-Type"].startswith(form)
    is_openmetrics = "openmetrics" in form
    assert is_openmetrics == answer.text.endswith("# EOF\n")
    read = openmetrics if is_openmetrics else plain
    assert list(read.text_string_to_metric_families(answer.text))


def test_it_is_packed_for_who_asks_for_that(controller):
    """
    The same text.
    """
    made = Exporter(controller, clock=lambda: 0.0)
    bare, packed = made.answer("", "identity"), made.answer("", "gzip, deflate")

    assert "gzip" == packed.headers["Content-Encoding"]
    assert "Content-Encoding" not in bare.headers
    assert bare.body == gzip.decompress(packed.body)
    assert len(packed.body) < len(bare.body) / 2


def test_who_asks_again_at_once_gets_the_same(served, controller):
    """
    Many who ask cost no more than one; a second later there is a new page.
    """
    now = [100.0]
    made = Exporter(controller, clock=lambda: now[0])
    first = made.answer("", "")
    served.post("/v1/pools", json={"name": "dns", "vips": ["203.0.113.53:53/udp"]})

    now[0] += 0.9
    assert first == made.answer("", "")
    now[0] += 0.1
    assert b'lbctl_pool_served{pool="dns"}' in made.answer("", "").body


def test_the_api_has_them_too(client, controller):
    """
    Beside the calls of version 1.
    """
    client.transport.app.state.metrics = metrics.Metrics(controller)

    assert "lbctl_generation 1" in client.get("/metrics").text


@pytest.mark.parametrize(("token", "status"), [("t" * 32, 200), ("wrong", 401)])
def test_with_the_api_they_are_behind_its_token(client, controller, token, status):
    """
    Only the listener of their own asks for none.
    """
    app = client.transport.app
    app.state.metrics = metrics.Metrics(controller)
    guarded = Client(TokenGate(app, "t" * 32))

    headers = {"Authorization": f"Bearer {token}"}
    assert status == guarded.request("GET", "/metrics", headers=headers).status_code


def test_the_library_is_not_needed_before_somebody_asks():
    """
    A daemon that nobody scrapes does without, and stays smaller.
    """
    code = "import sys, lbctl.control.daemon; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "False\n" == done.stdout
