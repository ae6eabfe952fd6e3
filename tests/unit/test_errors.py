"""The errors: one exit status each, as the command line promises."""

from __future__ import annotations

import pytest

from lbctl import errors

PROMISED = {
    errors.LbctlError: 1,
    errors.UsageError: 2,
    errors.NotFound: 3,
    errors.Conflict: 4,
    errors.DaemonUnreachable: 5,
    errors.NotPermitted: 6,
}


@pytest.mark.parametrize(("error", "status"), PROMISED.items())
def test_exit_status(error, status):
    """
    Scripts rely on the number, and the daemon's answer is turned back into the same class.
    """
    assert status == error.exit_code
    assert error is errors.BY_EXIT_CODE[status]


def test_every_error_has_a_number_of_its_own():
    """
    A new class needs a line in the table of the command line first.
    """
    ours = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.LbctlError)
    }

    assert set(PROMISED) == ours == set(errors.BY_EXIT_CODE.values())


def test_the_drawing_names_every_class():
    """
    The docstring is where a reader looks first.
    """
    assert [] == [error.__name__ for error in PROMISED if error.__name__ not in errors.__doc__]


def test_one_except_clause_catches_all():
    """
    Whoever calls lbctl from Python needs to know one name.
    """
    assert all(issubclass(error, errors.LbctlError) for error in PROMISED)
    assert "eth7: no such NIC" == str(errors.NotFound("eth7: no such NIC"))
