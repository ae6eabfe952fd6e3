"""The program calls: what the client asks about pseudo interfaces and network applications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.cli.calls import Calls, path_of

if TYPE_CHECKING:
    from lbctl.cli.calls import Row


class ProgramCalls(Calls):
    """The part of the client that is about programs on the switch."""

    def pseudo_interfaces(self) -> list[Row]:
        """Fetch all pseudo interfaces."""
        return self._rows("GET", "/v1/pseudo")

    def pseudo_interface(self, name: str) -> Row:
        """Fetch one pseudo interface."""
        return self._row("GET", path_of("pseudo", name))

    def add_pseudo(self, pseudo: Row) -> Row:
        """Make a pseudo interface."""
        return self._row("POST", "/v1/pseudo", pseudo)

    def set_pseudo(self, name: str, fields: Row) -> Row:
        """Change what *fields* names."""
        return self._row("PATCH", path_of("pseudo", name), fields)

    def remove_pseudo(self, name: str) -> Row:
        """Remove a pseudo interface."""
        return self._row("DELETE", path_of("pseudo", name))

    def apps(self) -> list[Row]:
        """Fetch all network applications."""
        return self._rows("GET", "/v1/apps")

    def app(self, name: str) -> Row:
        """Fetch one network application."""
        return self._row("GET", path_of("apps", name))

    def add_app(self, app: Row) -> Row:
        """Add a network application."""
        return self._row("POST", "/v1/apps", app)

    def set_app(self, name: str, fields: Row) -> Row:
        """Change what *fields* names."""
        return self._row("PATCH", path_of("apps", name), fields)

    def remove_app(self, name: str) -> Row:
        """Remove a network application."""
        return self._row("DELETE", path_of("apps", name))
