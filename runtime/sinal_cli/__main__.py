"""`sinal`: the command line's entry point, which minds being stopped before it imports anything that takes time."""

from __future__ import annotations

import sys

from sinal_cli import process_one


def main() -> None:
    """Entry point."""
    process_one.can_be_ended()
    from sinal_cli.app import app

    result = app(result_action="return_value")
    sys.exit(result if isinstance(result, int) else 0)


if __name__ == "__main__":
    main()
