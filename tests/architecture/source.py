"""The source of this checkout as syntax trees, for the rules beside this file."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
GENERATED = {"lbctl/shared/abi.py"}


def tree(path: str) -> ast.Module:
    """Parse the file *path*, given from the top of the checkout."""
    return _parse(ROOT / path)


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def files(folder: str, *patterns: str) -> list[str]:
    """List the files under *folder* that somebody wrote by hand."""
    found = {
        str(path.relative_to(ROOT))
        for pattern in patterns
        for path in (ROOT / folder).rglob(pattern)
    }
    return sorted(found - GENERATED)


def lines(path: str) -> int:
    """Count the lines of a file."""
    return len((ROOT / path).read_text(encoding="utf-8").splitlines())


def imports(path: str) -> set[str]:
    """
    Name everything that a module imports: `lbctl.model.Vip` for `from lbctl.model import Vip`.

    Imports within functions and under TYPE_CHECKING count: they bind the reader just as much.
    """
    package = path.removesuffix("/__init__.py").removesuffix(".py").split("/")
    if not path.endswith("/__init__.py"):
        package = package[:-1]
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def functions(path: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of a module, methods and inner functions included."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
