"""What is found on the page of a Prometheus node exporter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.agent.wire import BadReport, LoadReport
from lbctl.control.resources import node_exporter
from lbctl.control.resources.node_exporter import NodeExporter

MEMORY = """\
# TYPE node_memory_MemAvailable_bytes gauge
node_memory_MemAvailable_bytes 2e+09
node_memory_MemTotal_bytes 8e+09
"""
CONNECTIONS = """\
# TYPE node_netstat_Tcp_CurrEstab untyped
node_netstat_Tcp_CurrEstab 42
"""


def cpu(*idle_and_user):
    """Write the lines of CPU times: for each CPU idle and user."""
    head = "# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.\n"
    return head + "".join(
        f'node_cpu_seconds_total{{cpu="{n}",mode="idle"}} {idle}\n'
        f'node_cpu_seconds_total{{cpu="{n}",mode="user"}} {user}\n'
        for n, (idle, user) in enumerate(idle_and_user)
    )


def reports(*pages):
    """Read pages of one exporter."""
    kind = NodeExporter()
    return [kind.read(None, page.encode()) for page in pages]


def test_memory_and_connections_are_known_at_once():
    """
    The CPU is known from the second page on.
    """
    pages = [cpu((100, 50), (100, 50)), cpu((101, 53), (104, 50))]
    rest = "go_threads 7\n" + MEMORY + CONNECTIONS

    assert [
        LoadReport(memory=0.75, clients=42),
        LoadReport(cpu=3 / 8, memory=0.75, clients=42),
    ] == reports(*(page + rest for page in pages))


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([cpu((100, 50)), cpu((10, 5)), cpu((11, 6))], [None, None, 0.5]),  # started anew
        ([cpu((9, 9), (9, 9)), cpu((10, 10)), cpu((11, 11))], [None, None, 0.5]),  # a CPU went
        ([cpu((10, 10)), cpu((11, 11)), cpu((11, 11))], [None, 0.5, 0.5]),  # the same page again
        ([cpu((10, 10)), MEMORY, cpu((20, 10))], [None, None, None]),  # none for a while
    ],
)
def test_cpu_over_time(pages, expected):
    """
    A difference that cannot be is no figure, and the next one is right again.
    """
    assert expected == [report.cpu for report in reports(*pages)]


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<html>hello</html>",
        "node_memory_MemAvailable_bytes_other 5\n",
        MEMORY.replace("2e+09", "NaN"),
        MEMORY.replace("2e+09", "9e+09"),  # more than there is
        MEMORY.replace("2e+09", "-1"),
        MEMORY.replace("2e+09", "+Inf"),
        CONNECTIONS.replace("42", ""),
        CONNECTIONS.replace("42", "1e300"),
        cpu((10, "many")),
        cpu((10, -5)),
    ],
)
def test_what_cannot_be_is_refused(page):
    """
    Nothing of such a page counts.
    """
    with pytest.raises(BadReport):
        reports(page)


def test_a_page_of_nothing_but_cpus_ends_at_a_limit(monkeypatch):
    """
    More lines than any machine has CPUs for are refused, for they cost time.
    """
    monkeypatch.setattr(node_exporter, "MAX_LINES", 10)
    with pytest.raises(BadReport, match="more than 10 lines"):
        reports(cpu(*[(1, 1)] * 6))


@given(st.binary(max_size=200), st.sampled_from([cpu((1, 1)), MEMORY, CONNECTIONS]))
def test_whatever_comes_is_a_report_or_refused(noise, page):
    """
    Also in the midst of a page.
    """
    for position in (0, len(page) // 2, len(page)):
        data = page[:position].encode() + noise + page[position:].encode()
        try:
            report = NodeExporter().read(None, data)
        except BadReport:
            continue
        assert isinstance(report, LoadReport)


def test_a_value_may_have_a_time():
    """
    The exposition format allows it.
    """
    page = CONNECTIONS.replace("42", "42 1395066363000")

    assert [LoadReport(clients=42)] == reports(page)
