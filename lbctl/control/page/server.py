"""
The server of the page: its files for anybody, the API behind the token, and nothing else.

The files are read once, at the start: a request names one of them or there is no such thing, so
that no path can lead anywhere else.
"""

from __future__ import annotations

from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

from lbctl.control.api import problem
from lbctl.control.sockets import TokenGate
from lbctl.errors import NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC = Path(__file__).parent / "static"
INDEX = "index.html"  # what `/` is
# Said here, for what the machine's own table says differs: a browser runs no script of text/plain.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
API = ("/openapi.json", "/metrics")
API_FOLDER = "/v1/"

# Scripts, styles, images and data come from here and nowhere else; nothing stands inline, and no
# script can make markup out of text.  No other page may frame this one or hear who refers to it.
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{what} {whence}" for what, whence in POLICY.items()),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class File(NamedTuple):
    """One file of the page."""

    body: bytes
    kind: str
    etag: str

    def answer(self, method: str, known: str) -> Response:
        """Give the file, or say that it is what the browser has: the one with the ETag *known*."""
        headers = {"ETag": self.etag, "Cache-Control": "no-cache"}  # ask each time, get it once
        if known == self.etag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        headers |= {"Content-Type": self.kind, "Content-Length": str(len(self.body))}
        return Response(b"" if method == "HEAD" else self.body, headers=headers)


class Page:
    """The page of one switch, as an application; see `create_page`."""

    def __init__(self, api: ASGIApp) -> None:
        self._api = api
        self._files = dict(_files())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, with the headers that keep the page to itself."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")  # answers of the API are secrets
                headers.update(HEADERS)
            await send(message)

        await self._chosen(scope)(scope, receive, guarded)

    def _chosen(self, scope: Scope) -> ASGIApp:
        method, path = scope["method"], scope["path"]
        if path in API or path.startswith(API_FOLDER):
            return self._api
        if path not in self._files:
            return problem(NotFound(f"{method} {path}: there is no such page; see /"))
        if method not in ("GET", "HEAD"):
            refusal = problem(
                UsageError(f"{method} {path}: a page can be read only"),
                HTTPStatus.METHOD_NOT_ALLOWED,
            )
            refusal.headers["Allow"] = "GET, HEAD"
            return refusal
        known = Headers(scope=scope).get("if-none-match", "")
        return self._files[path].answer(method, known)


def create_page(api: ASGIApp, token: str) -> Page:
    """Make the application that serves the page to all, and *api* to who bears *token*."""
    return Page(TokenGate(api, token))


def _files() -> Iterator[tuple[str, File]]:
    """Each file of the page, by its path."""
    for path in sorted(STATIC.iterdir()):
        if path.suffix in TYPES:
            body = path.read_bytes()
            etag = f'"{sha256(body).hexdigest()[:16]}"'
            found = File(body, TYPES[path.suffix], etag)
            yield f"/{path.name}", found
            if path.name == INDEX:
                yield "/", found
