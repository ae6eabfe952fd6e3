"""The wire: what goes in comes out, and nothing else comes out."""

from __future__ import annotations

import json
import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.agent.wire import (
    LIMITS,
    MAX_BYTES,
    MAX_COUNT,
    BadReport,
    LoadReport,
    Statement,
    Wish,
    decode_report,
    encode_report,
    new_nonce,
    open_,
    read_key,
    seal,
    sign,
)
from lbctl.errors import NotFound, UsageError

KEY = b"a key that nobody knows"
NONCE = "0123456789abcdef"
NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=100)
REASONS = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=200)
REPORTS = st.builds(
    LoadReport,
    **{name: st.none() | st.floats(0, most) for name, most in LIMITS.items()},
    clients=st.none() | st.integers(0, MAX_COUNT),
    connections=st.dictionaries(st.integers(1, 65535), st.integers(0, MAX_COUNT), max_size=256),
    wish=st.none() | st.sampled_from(Wish),
    reason=REASONS,
)
STATEMENTS = st.builds(
    Statement,
    agent=NAMES,
    time=st.floats(0, 1e11),
    nonce=st.text("0123456789abcdef", min_size=16, max_size=64),
    report=REPORTS,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=20,
)


def statement(**changes):
    """Make a statement, with some things else than usual."""
    usual = Statement("192.0.2.11:80", 1e9, NONCE, LoadReport(cpu=0.5))
    return usual._replace(**changes)


def sealed(body):
    """Sign whatever bytes."""
    return sign(KEY, body).encode() + b"\n" + body


@given(REPORTS)
def test_a_report_comes_out_as_it_went_in(report):
    """
    Every figure and every None, through JSON text.
    """
    assert report == decode_report(json.loads(json.dumps(encode_report(report))))


@given(STATEMENTS)
def test_a_statement_comes_out_as_it_went_in(said):
    """
    Signed and opened with the same key; the largest report fits.
    """
    assert said == open_(KEY, seal(KEY, said))


def test_the_largest_report_fits():
    """
    All ports, the longest counts and the longest reason.
    """
    ports = dict.fromkeys(range(65280, 65536), MAX_COUNT)
    report = LoadReport(connections=ports, reason="\N{SNOWMAN}" * 200)

    assert MAX_BYTES > len(seal(KEY, statement(report=report)))


@given(JSON)
def test_any_json_is_a_report_or_refused(data):
    """
    Whatever comes out has the types and ranges of a report: it can be encoded and read again.
    """
    with suppress(BadReport):
        report = decode_report(data)
        assert report == decode_report(encode_report(report))


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, -1, -0.001, 1e300, 10**400, True, False, "1", [1], {}]
)
def test_figures_are_numbers_in_their_range(name, value):
    """
    Nothing that arithmetic would choke on passes.
    """
    with pytest.raises(BadReport, match=name):
        decode_report({name: value})


@pytest.mark.parametrize(
    "fields",
    [
        {"memory": 1.01},
        {"clients": 1.5},
        {"clients": -1},
        {"clients": True},
        {"clients": 2**32},
        {"clients": 10**400},
        {"connections": [80]},
        {"connections": {"0": 1}},
        {"connections": {"65536": 1}},
        {"connections": {"080": 1}},
        {"connections": {"\u0661": 1}},
        {"connections": {"80": -1}},
        {"connections": {"80": True}},
        {"connections": {str(port): 1 for port in range(1, 300)}},
        {"wish": "sideways"},
        {"wish": 1},
        {"wish": ["up"]},
        {"wish": {}},
        {"reason": "two\nlines"},
        {"reason": "\x1b[31mred"},
        {"reason": "x" * 201},
        {"reason": 5},
    ],
)
def test_other_fields_are_checked_too(fields):
    """
    The error names the field, in one line without control characters.
    """
    with pytest.raises(BadReport, match=next(iter(fields))) as err:
        decode_report(fields)

    assert str(err.value).isprintable()


@pytest.mark.parametrize("data", [None, [], "up", 5, True])
def test_a_report_is_an_object(data):
    """
    Other JSON is refused.
    """
    with pytest.raises(BadReport, match="object"):
        decode_report(data)


def test_unknown_keys_are_ignored():
    """
    A newer agent may tell more.
    """
    assert LoadReport(cpu=0.5) == decode_report({"cpu": 0.5, "gpu": 2})


def test_another_key_does_not_open():
    """
    The error asks for the usual cause.
    """
    with pytest.raises(BadReport, match="same key"):
        open_(b"another key of enough bytes", seal(KEY, statement()))


@given(st.data())
def test_one_changed_byte_is_noticed(data):
    """
    Wherever it is: in the signature, the newline or the body.
    """
    whole = bytearray(seal(KEY, statement()))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))

    with pytest.raises(BadReport):
        open_(KEY, bytes(whole))


@given(st.data())
def test_a_truncated_statement_is_refused(data):
    """
    Also to nothing at all.
    """
    whole = seal(KEY, statement())

    with pytest.raises(BadReport):
        open_(KEY, whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.binary(max_size=300))
def test_rubbish_is_refused(data):
    """
    No bytes make anything but BadReport.
    """
    with pytest.raises(BadReport):
        open_(KEY, data)


@given(st.binary(max_size=300) | JSON.map(lambda data: json.dumps(data).encode()))
def test_signed_rubbish_is_refused(body):
    """
    A good signature makes no statement of what is none.
    """
    with pytest.raises(BadReport):
        open_(KEY, sealed(body))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 16000,
        b'{"agent":"a","time":NaN,"nonce":"0123456789abcdef","report":{}}',
        b'{"agent":"a","time":1e999,"nonce":"0123456789abcdef","report":{}}',
        b'{"agent":"a","time":1,"nonce":"0123456789abcdef","report":{"cpu":' + b"9" * 5000 + b"}}",
        b'{"agent":"a","time":1,"nonce":"0123456789abcdef","x":Infinity,"report":{}}',
        b"\xff\xfe",
    ],
)
def test_signed_traps_are_refused(body):
    """
    Depth, infinities and numbers of thousands of digits.
    """
    with pytest.raises(BadReport):
        open_(KEY, sealed(body))


def test_a_huge_statement_is_refused_unread():
    """
    However well it is signed.
    """
    with pytest.raises(BadReport, match="16384"):
        open_(KEY, sealed(b" " * MAX_BYTES))


@pytest.mark.parametrize(
    "changes",
    [
        {"agent": ""},
        {"agent": "a b"},
        {"agent": "x" * 101},
        {"nonce": "short"},
        {"nonce": "G" * 16},
        {"nonce": "0" * 65},
        {"time": math.nan},
        {"time": -1.0},
        {"report": LoadReport(cpu=math.nan)},
        {"report": LoadReport(connections=dict.fromkeys(range(1, 300), 1))},
    ],
)
def test_what_would_be_refused_is_never_sent(changes):
    """
    The agent sees the mistake, not the switch.
    """
    with pytest.raises(BadReport):
        seal(KEY, statement(**changes))


def test_nonces_are_new_and_fit():
    """
    Two are never the same, and both may be sent.
    """
    first, second = new_nonce(), new_nonce()

    assert first != second
    assert first == open_(KEY, seal(KEY, statement(nonce=first))).nonce


def test_a_key_is_read_without_white_space(tmp_path):
    """
    An editor's newline is no part of it.
    """
    path = tmp_path / "key"
    path.write_text("  0123456789abcdef\n")
    path.chmod(0o640)

    assert b"0123456789abcdef" == read_key(path)


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o602, 0o666])
def test_a_key_that_others_know_is_none(tmp_path, mode):
    """
    The error says how to mend it.
    """
    path = tmp_path / "key"
    path.write_text("0123456789abcdef")
    path.chmod(mode)

    with pytest.raises(UsageError, match="chmod 600"):
        read_key(path)


@pytest.mark.parametrize("content", ["", "0123456789abcde\n", "x" * 4097])
def test_a_key_has_a_sensible_length(tmp_path, content):
    """
    One that can be guessed is refused, and so is a file that is something else.
    """
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(0o600)

    with pytest.raises(UsageError, match="bytes"):
        read_key(path)


def test_a_missing_key_says_how_to_make_one(tmp_path):
    """
    The command stands in the error.
    """
    with pytest.raises(NotFound, match="lbctl-agent key --output"):
        read_key(tmp_path / "none")


def test_a_folder_is_no_key(tmp_path):
    """
    Nor is anything else that is no file.
    """
    with pytest.raises(UsageError, match="a key is a file"):
        read_key(tmp_path)
