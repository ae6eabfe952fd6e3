"""The text of the metrics: what is written is read again, in both forms."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as some
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from lbctl.control.metrics import catalogue
from lbctl.control.metrics.catalogue import Kind
from lbctl.control.metrics.exposition import Page, pairs

READERS = {False: text_string_to_metric_families, True: openmetrics.text_string_to_metric_families}
# Of a NIC's name the kernel excludes no more than a slash and spaces.
NAMES = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=1)
NUMBERS = some.one_of(
    some.integers(0, 2**53), some.booleans(), some.floats(allow_nan=False, allow_infinity=False)
)


def read(page, *, openmetrics):
    """All samples of a page as a library reads them: name, labels and value."""
    text = page.text(openmetrics=openmetrics)
    families = READERS[openmetrics](text)
    return [(s.name, s.labels, s.value) for family in families for s in family.samples]


@given(some.lists(some.tuples(NAMES, NAMES, NUMBERS), unique_by=lambda sample: sample[:2]))
def test_what_is_written_is_read_again(samples):
    """
    Whatever the labels hold, in both forms: quotes, backslashes, line feeds.
    """
    page = Page()
    for pool, backend, value in samples:
        page.add(catalogue.WANTED_SHARE, value, pool, backend)

    expected = [
        (catalogue.WANTED_SHARE.name, {"pool": pool, "backend": backend}, float(value))
        for pool, backend, value in samples
    ]
    assert expected == read(page, openmetrics=False)
    assert expected == read(page, openmetrics=True)


@given(some.integers(0, 2**64 - 1))
def test_a_counter_is_written_to_the_last_packet(count):
    """
    However many there were: a float would round them.
    """
    page = Page()
    page.add(catalogue.NIC_PACKETS, count, "eth0", "TO_BACKEND")

    line = page.text(openmetrics=False).splitlines()[-1]
    assert f'lbctl_nic_packets_total{{nic="eth0",verdict="TO_BACKEND"}} {count}' == line


def test_columns_are_samples_one_by_one():
    """
    The short way and the long one give the same.
    """
    values, one, other = [(1, "a"), (2.5, 'b"'), (True, "c")], Page(), Page()
    for value, name in values:
        one.add(catalogue.LOAD_AGE, value, "web", name)
    texts = [pairs(catalogue.MEMBER, ("web", name)) for _, name in values]
    other.column(catalogue.LOAD_AGE, texts, [value for value, _ in values])

    assert one.text(openmetrics=True) == other.text(openmetrics=True)


def test_what_is_not_known_has_no_sample():
    """
    Neither zero nor NaN, and no heading if nothing is left.
    """
    page = Page()
    page.known(catalogue.LOAD, ['pool="web"', 'pool="api"'], [None, 0.5])
    page.known(catalogue.LOAD_AGE, ['pool="web"'], [None])

    assert [("lbctl_backend_load_ratio", {"pool": "api"}, 0.5)] == read(page, openmetrics=False)
    assert catalogue.LOAD_AGE.name not in page.text(openmetrics=False)


def test_numbers_that_are_none_are_read_again():
    """
    A plugin may have made them.
    """
    page = Page()
    for name, value in (("a", math.inf), ("b", -math.inf), ("c", math.nan)):
        page.add(catalogue.LOAD, value, "web", name)

    found = [value for _, _, value in read(page, openmetrics=True)]
    assert [math.inf, -math.inf] == found[:2]
    assert math.isnan(found[2])


def test_the_forms_differ_in_their_headings_only():
    """
    OpenMetrics names the family without what its kind adds, has units, and an end.
    """
    page = Page()
    page.add(catalogue.BUILD, 1, "default", "1.0", "3")
    page.add(catalogue.EVENTS, 7, "health")
    page.add(catalogue.SCRAPE, 0.25)

    assert page.text(openmetrics=False) == (
        "# HELP lbctl_build_info Which instance this is, and of which version.\n"
        "# TYPE lbctl_build_info gauge\n"
        'lbctl_build_info{name="default",version="1.0",abi="3"} 1\n'
        "# HELP lbctl_events_total Events since lbctld started, as `lbctl events` has them.\n"
        "# TYPE lbctl_events_total counter\n"
        'lbctl_events_total{kind="health"} 7\n'
        "# HELP lbctl_scrape_duration_seconds How long it took to collect what is on this page.\n"
        "# TYPE lbctl_scrape_duration_seconds gauge\n"
        "lbctl_scrape_duration_seconds 0.25\n"
    )
    assert page.text(openmetrics=True) == (
        "# HELP lbctl_build Which instance this is, and of which version.\n"
        "# TYPE lbctl_build info\n"
        'lbctl_build_info{name="default",version="1.0",abi="3"} 1\n'
        "# HELP lbctl_events Events since lbctld started, as `lbctl events` has them.\n"
        "# TYPE lbctl_events counter\n"
        'lbctl_events_total{kind="health"} 7\n'
        "# HELP lbctl_scrape_duration_seconds How long it took to collect what is on this page.\n"
        "# TYPE lbctl_scrape_duration_seconds gauge\n"
        "# UNIT lbctl_scrape_duration_seconds seconds\n"
        "lbctl_scrape_duration_seconds 0.25\n"
        "# EOF\n"
    )


def test_the_catalogue_follows_the_conventions():
    """
    Every metric is listed once, has a help that is a sentence, and a name that tells its kind.
    """
    defined = [value for value in vars(catalogue).values() if isinstance(value, catalogue.Metric)]
    assert {*defined, *catalogue.PROCESS} == set(catalogue.METRICS)
    assert len(catalogue.METRICS) == len(catalogue.BY_NAME)
    for metric in catalogue.METRICS:
        assert metric.help.endswith(".")
        assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
        assert (metric.kind is Kind.INFO) == metric.name.endswith("_info")
        assert metric.name.startswith("process_") == (metric in catalogue.PROCESS)
