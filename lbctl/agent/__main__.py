"""The entry: run `python -m lbctl.agent` as `lbctl-agent`."""

from lbctl.agent.cli import main

if __name__ == "__main__":
    main()
