"""
The daemon, started as a module: `python -m lbctl.testbed.lbctld` is lbctld of this very checkout.

The test bed cannot rely on the script of that name, which may be another version's or not there.
"""

from lbctl.control.daemon import main

if __name__ == "__main__":
    main(prog_name="lbctld")
