"""
The endpoint of the metrics: of the API, and alone on a listener that asks for no token.

The library behind it is imported when somebody asks for the first time: most switches that nobody
scrapes can do without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from lbctl.control.controller import Controller
    from lbctl.control.metrics.exporter import Answer, Exporter

router = APIRouter(tags=["metrics"])


class Metrics:
    """
    The metrics of one switch.

    However many ask at once, one thread collects, and none of those that the API works with.
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._exporter: Exporter | None = None
        self._one = anyio.CapacityLimiter(1)

    async def respond(self, request: Request) -> Response:
        """Answer one request."""
        accept, encoding = (request.headers.get(h, "") for h in ("accept", "accept-encoding"))
        found = await anyio.to_thread.run_sync(self._answer, accept, encoding, limiter=self._one)
        return Response(found.body, headers=dict(found.headers))

    def _answer(self, accept: str, encoding: str) -> Answer:
        if self._exporter is None:
            from lbctl.control.metrics.exporter import Exporter  # noqa: PLC0415 - see above

            self._exporter = Exporter(self._controller)
        return self._exporter.answer(accept, encoding)


@router.get("/metrics", include_in_schema=False)  # no JSON, and no part of any version
async def metrics(request: Request) -> Response:
    """All metrics, as Prometheus reads them: its text format, or OpenMetrics."""
    found: Metrics = request.app.state.metrics
    return await found.respond(request)


def alone(found: Metrics) -> Starlette:
    """An application that has ``GET /metrics`` and nothing else."""
    return Starlette(routes=[Route("/metrics", found.respond)])
