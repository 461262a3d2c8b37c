"""`python -m rag`, and the `rag` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from rag.faces import cli
    except KeyboardInterrupt:
        # Pressed before there was a command to stop.
        sys.exit(130)
    cli.main(prog_name="rag")


if __name__ == "__main__":
    main()
