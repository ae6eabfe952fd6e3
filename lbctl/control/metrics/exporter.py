"""
The exporter: collect all metrics when somebody asks, and answer in the form that was asked for.

Who asks again within a second gets what was collected then, so that many who ask cost no more than
one.  Which forms there are is negotiated by prometheus-client.
"""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.exposition import choose_encoder, gzip_accepted

from lbctl.control.metrics import apps, catalogue, pools, pseudo, supervision, switch
from lbctl.control.metrics.exposition import Page
from lbctl.control.metrics.labels import Labels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lbctl.control.controller import Controller

FRESH = 1.0  # seconds that what was collected is given away
FAST = 1  # level of compression: the others take much longer and save little


class Answer(NamedTuple):
    """A body, and what its headers say of it."""

    body: bytes
    headers: Mapping[str, str]


class Exporter:
    """The metrics of one switch; for one thread at a time."""

    def __init__(
        self, controller: Controller, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._controller, self._clock = controller, clock
        self._page, self._at = Page(), float("-inf")
        self._labels = Labels.of(controller.configuration)
        self._bodies: dict[tuple[bool, bool], bytes] = {}

    def answer(self, accept: str, encoding: str) -> Answer:
        """
        Answer a request with these headers Accept and Accept-Encoding.

        The same text serves every version and escaping of either form: names are plain, and there
        is no histogram.
        """
        content_type = choose_encoder(accept)[1]
        openmetrics = content_type.startswith("application/openmetrics-text")
        compressed = gzip_accepted(encoding)
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if compressed:
            headers["Content-Encoding"] = "gzip"
        return Answer(self._body(openmetrics=openmetrics, compressed=compressed), headers)

    def _body(self, *, openmetrics: bool, compressed: bool) -> bytes:
        now = self._clock()
        if now - self._at >= FRESH:
            if self._labels.configuration is not self._controller.configuration:
                self._labels = Labels.of(self._controller.configuration)
            self._page, self._at, self._bodies = collect(self._controller, self._labels), now, {}
        form = openmetrics, compressed
        if form not in self._bodies:
            body = self._page.text(openmetrics=openmetrics).encode()
            self._bodies[form] = gzip.compress(body, FAST) if compressed else body
        return self._bodies[form]


def collect(controller: Controller, labels: Labels) -> Page:
    """Look at everything once."""
    begin, page = time.perf_counter(), Page()
    connections, opened = controller.dataplane.connections.census()
    switch.collect(page, controller, connections)
    pools.collect(page, controller, labels, opened)
    supervision.collect(page, controller, labels)
    apps.collect(page, controller)
    pseudo.collect(page, controller)
    switch.process(page)
    page.add(catalogue.SCRAPE, time.perf_counter() - begin)
    return page
