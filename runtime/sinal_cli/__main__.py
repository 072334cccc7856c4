"""`sinal`: the command line's entry point, which minds being stopped before it imports anything
that takes time.
"""

from __future__ import annotations

import sys

from sinal_cli import lean, pid1
from sinal_cli.mistakes import guarded


def main() -> None:
    """Entry point."""
    pid1.can_be_ended()
    sys.exit(guarded(_run))


def _run() -> object:
    words = sys.argv[1:]
    wanted = lean.understood(words)
    if wanted is not None:
        return lean.run(wanted)
    from sinal_cli.app import app
    from sinal_cli.reporting import named, reported

    return reported(named(words), lambda: app(result_action="return_value"))


if __name__ == "__main__":
    main()
