"""lbctld in a guest: the very daemon, but that the host compiles for it."""

from unittest import mock

from lbctl.control.daemon import main
from lbctl.switching import program
from tests.system.kernels.inside.remote import compile_program

if __name__ == "__main__":
    with mock.patch.object(program, "compile_program", compile_program):
        main(prog_name="lbctld")
