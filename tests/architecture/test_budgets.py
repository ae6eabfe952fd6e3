"""
How large things may grow, and that each says what it is for.

A file that is over its budget has become two ideas: split it rather than raise the number.
"""

from __future__ import annotations

import ast
import tomllib
from itertools import chain

import pytest

from tests.architecture import source

FILE_LINES = {"lbctl": 300, "bpf_src": 300, "bench": 300, "examples": 300, "tests": 400}
FUNCTION_LINES = 50
PYTHON = [path for folder in FILE_LINES for path in source.files(folder, "*.py")]
ALL = [path for folder in FILE_LINES for path in source.files(folder, "*.py", "*.c", "*.h")]
PUBLIC = [path for path in source.files("lbctl", "*.py") if "/_" not in path]


def public(node, prefix=""):
    """Yield (name, node) of what others may use: no underscore, not inside a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if child.name.startswith("_"):
                continue
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{prefix}{child.name}.")


@pytest.mark.parametrize("path", ALL)
def test_files_are_one_idea(path):
    """
    See FILE_LINES.
    """
    assert source.lines(path) <= FILE_LINES[path.split("/")[0]]


@pytest.mark.parametrize("path", PYTHON)
def test_functions_fit_a_screen(path):
    """
    From `def` to the last line, docstring included.
    """
    length = {node.name: node.end_lineno - node.lineno + 1 for node in source.functions(path)}

    assert {} == {name: count for name, count in length.items() if count > FUNCTION_LINES}


@pytest.mark.parametrize("path", PUBLIC)
def test_public_things_say_what_they_are_for(path):
    """
    Modules, classes, functions and methods.
    """
    module = source.tree(path)

    assert ast.get_docstring(module)
    assert [] == [name for name, node in public(module) if not ast.get_docstring(node)]


@pytest.mark.parametrize("path", PUBLIC)
def test_modules_begin_with_their_name(path):
    """
    "The model: what a user wants": a name from the drawing, a colon, what it does.
    """
    first_line = (ast.get_docstring(source.tree(path)) or "").splitlines()[0]

    assert ": " in first_line


def test_bcc_is_never_asked_of_the_package_index():
    """
    The package of that name there is something else; bcc comes with the distribution.
    """
    project = tomllib.loads((source.ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [line.lower() for line in chain(project["dependencies"], *extras)]

    assert any(line.startswith("click") for line in wanted)
    assert not any(line.startswith("bcc") for line in wanted)
