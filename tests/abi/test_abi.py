"""The contract between C and Python: generated, current, and without holes."""

from __future__ import annotations

import importlib.util
import re

import numpy as np
import pytest

from lbctl.shared import abi, tables
from lbctl.shared.tables import Capacity
from tests.architecture.source import ROOT

STRUCTS = {
    name: value
    for name, value in vars(abi).items()
    if isinstance(value, np.dtype) and value.names is not None
}
# A packet touches few lines because these are as large as they are.
SIZES = {
    "SERVICE": 32,
    "SLOTS": 64,
    "BACKEND": 64,
    "CONNECTION": 16,
    "CONNECTION_SET": 64,
    "CONNECTION_DETAIL": 48,
    "NEXT_HOP": 16,
    "NIC": 8,
    "COUNTER": 16,
    "BACKEND_COUNTER": 64,
    "FORGOTTEN": 16,
}


@pytest.fixture(scope="module")
def generator():
    """
    bpf_src/generate_abi.py, which is no part of the package.
    """
    path = ROOT / "bpf_src" / "generate_abi.py"
    spec = importlib.util.spec_from_file_location("generate_abi", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_file_is_current(generator):
    """
    Editing abi.h without `make abi` fails here, not in production.
    """
    assert (ROOT / "lbctl/shared/abi.py").read_text() == generator.render(generator.parse())


def test_the_page_of_verdicts_is_current_and_says_why(generator):
    """
    Each verdict has a note of one line, and a paragraph about cause and cure.
    """
    root = generator.parse()
    page = (ROOT / "docs/reference/verdicts.md").read_text()

    assert page == generator.render_page(root)
    for verdict in generator.verdicts(root):
        note, *causes = generator.comment(verdict)
        assert len(note) <= 100, verdict.spelling
        assert causes, verdict.spelling
        assert f"### {verdict.spelling.removeprefix('LB_')}\n" in page


def test_the_generator_refuses_what_it_does_not_understand(generator, tmp_path):
    """
    A struct with a pointer, or a syntax error, must not become half a file.
    """
    (tmp_path / "lb").mkdir()
    header = tmp_path / "lb" / "abi.h"
    for text, words in (
        ("struct lb_odd { char *text; };", "keep contract structs flat"),
        ("struct lb_odd { nonsense };", "error"),
    ):
        header.write_text(text + "\n")
        with pytest.raises(SystemExit, match=words):
            generator.render(generator.parse(tmp_path))


def test_byte_order_is_in_the_type(generator, tmp_path):
    """
    __beN is network order, anything else the host's; arrays and structs too.
    """
    (tmp_path / "lb").mkdir()
    one = "struct lb_one { __be16 a; __u16 b; __be32 c[2]; };"
    two = "struct lb_two { struct lb_one d[3]; };"
    (tmp_path / "lb" / "abi.h").write_text(f"{one}\n{two}\n")
    text = generator.render(generator.parse(tmp_path))

    assert "\"formats\": ['>u2', '<u2', '(2,)>u4']" in text
    assert '"formats": [(ONE, (3,))]' in text
    assert '"offsets": [0, 2, 4]' in text


def unpadded(kind):
    """Add up what the fields of a struct take, without holes."""
    if kind.subdtype:
        element, shape = kind.subdtype
        return unpadded(element) * int(np.prod(shape))
    if kind.names:
        return sum(unpadded(kind[name]) for name in kind.names)
    return kind.itemsize


@pytest.mark.parametrize("name", STRUCTS)
def test_no_hidden_padding(name):
    """
    What C leaves out of a struct, Python would leave undefined in a key.
    """
    assert STRUCTS[name].itemsize == unpadded(STRUCTS[name])


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name):
    """
    Sixteen bytes for a connection, a line for a set.
    """
    assert SIZES[name] == STRUCTS[name].itemsize


def test_every_memory_mapped_element_is_a_multiple_of_8():
    """
    The kernel rounds elements of arrays up to 8 bytes; numpy does not.
    """
    for name, spec in tables.specifications(Capacity()).items():
        if spec.element is not None:
            assert spec.element.itemsize % 8 == 0, name


def test_the_sources_declare_the_tables_that_python_makes():
    """
    The same names: they meet by their pins.
    """
    text = (ROOT / "bpf_src/lb/tables.h").read_text()
    declared = set(re.findall(r"LB_TABLE\(\"\w+\", [\w ]+, [\w ]+, (\w+),", text))
    declared |= set(re.findall(r'LB_PINS "/(\w+)"\)', text))

    assert set(tables.specifications(Capacity())) == declared


def test_fields_that_hold_addresses_and_ports_are_in_network_order():
    """
    They are compared with packets as they lie.
    """
    for name, kind in STRUCTS.items():
        for field in kind.names:
            base = kind[field].base
            if re.search(r"^(address|vip|client)$|(^|_)port$", field) and name != "HASH_KEYS":
                assert ">" == base.byteorder, f"{name}.{field}"
