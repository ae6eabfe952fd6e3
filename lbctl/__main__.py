"""The entry: run `python -m lbctl` as `lbctl`."""

from lbctl.cli import main

if __name__ == "__main__":
    main()
