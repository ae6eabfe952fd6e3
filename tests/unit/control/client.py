"""A client of the API that needs no server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from fastapi import FastAPI


class Client:
    """Sends each request to the application as a server would, and waits for the answer."""

    def __init__(self, app: FastAPI) -> None:
        self.transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def request(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Send one request."""

        async def send() -> httpx.Response:
            url = "http://lbctl"
            async with httpx.AsyncClient(transport=self.transport, base_url=url) as client:
                return await client.request(method, path, **given)

        return asyncio.run(send())

    def get(self, path: str) -> httpx.Response:
        """Read."""
        return self.request("GET", path)

    def post(self, path: str, **given: Any) -> httpx.Response:
        """Add."""
        return self.request("POST", path, **given)

    def patch(self, path: str, **given: Any) -> httpx.Response:
        """Change."""
        return self.request("PATCH", path, **given)

    def delete(self, path: str, **given: Any) -> httpx.Response:
        """Remove."""
        return self.request("DELETE", path, **given)
