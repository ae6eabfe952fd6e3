"""
The API: HTTP and JSON over a Unix socket, described by its own OpenAPI document.

Every refusal has one form, ``{"error": "one line", "exit_code": N}``, and nothing was changed
when it is sent.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from lbctl import __version__
from lbctl.control import answers
from lbctl.control.endpoints import (
    capture,
    cpu,
    explain,
    metrics,
    page,
    pools,
    preflight,
    programs,
    supervision,
    switch,
    traffic,
)
from lbctl.control.validation import usage_error
from lbctl.errors import LbctlError, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from lbctl.control.controller import Controller

    Handler = Callable[[Request, Exception], Awaitable[Response]]

STATUS = {
    1: HTTPStatus.UNPROCESSABLE_ENTITY,
    2: HTTPStatus.BAD_REQUEST,
    3: HTTPStatus.NOT_FOUND,
    4: HTTPStatus.CONFLICT,
    6: HTTPStatus.FORBIDDEN,
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status.value: {"model": answers.Problem} for status in STATUS.values()
}

log = logging.getLogger(__name__)


def create_app(controller: Controller) -> FastAPI:
    """The API of one switch."""
    app = FastAPI(
        title="lbctl",
        version=__version__,
        summary="An XDP packet switch and server load balancer.",
        # The pages that FastAPI could serve load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        responses=PROBLEMS,
    )
    app.state.controller = controller
    app.state.metrics = metrics.Metrics(controller)
    app.include_router(metrics.router)
    for module in (
        switch,
        pools,
        programs,
        traffic,
        supervision,
        page,
        explain,
        capture,
        preflight,
        cpu,
    ):
        app.include_router(module.router, prefix="/v1")
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    return app


async def _refused(_request: Request, error: Exception) -> Response:
    return problem(error)


async def _invalid(_request: Request, error: Exception) -> Response:
    errors = error.errors() if isinstance(error, RequestValidationError) else ()
    return problem(usage_error(errors))


async def _no_such_call(request: Request, error: Exception) -> Response:
    call = f"{request.method} {request.url.path}"
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.NOT_FOUND:
        return problem(NotFound(f"{call}: there is no such call; see GET /openapi.json"))
    detail = error.detail if isinstance(error, HTTPException) else error
    return problem(UsageError(f"{call}: {detail}; see GET /openapi.json"))


async def _bug(request: Request, error: Exception) -> Response:
    """Answer for a mistake of ours; the server logs where it was."""
    text = f"{request.method} {request.url.path}: {type(error).__name__}: {error}"
    line = LbctlError(f"internal error: {' '.join(text.split())}; the log of lbctld says more")
    return problem(line, HTTPStatus.INTERNAL_SERVER_ERROR)


HANDLERS: dict[type[Exception], Handler] = {
    LbctlError: _refused,
    RequestValidationError: _invalid,
    HTTPException: _no_such_call,
    Exception: _bug,
}


def problem(error: Exception, status: HTTPStatus | None = None) -> JSONResponse:
    """The answer for an error: its line, and the exit status for the command line."""
    code = error.exit_code if isinstance(error, LbctlError) else LbctlError.exit_code
    body = answers.Problem(error=" ".join(str(error).split()), exit_code=code)
    return JSONResponse(
        body.model_dump(), status or STATUS.get(code, HTTPStatus.UNPROCESSABLE_ENTITY)
    )
