"""`sinal`: the command line's entry point, which minds being stopped before it imports anything that takes time."""

from __future__ import annotations

import os
import select
import sys

from sinal_cli import process_one

NOBODY_READS = 141  # as shells say of SIGPIPE


def main() -> None:
    """Entry point."""
    process_one.can_be_ended()
    from sinal_cli.app import app

    try:
        result = app(result_action="return_value")
        sys.stdout.flush()
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        result = NOBODY_READS
    sys.exit(result if isinstance(result, int) else 0)


def _nobody_reads() -> bool:
    """Whether it is our output that was closed (`| head`) and no socket; what is left of it goes nowhere then."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)  # errors are told unasked
    if not any(told & select.POLLERR for _, told in output.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


if __name__ == "__main__":
    main()
