"""The end of every command line: what went wrong outside of Sinal is one line and an exit code,
never a traceback.

A traceback is for faults of ours. A file that can't be read, a disk that is full, a variable that
can't be meant are none; neither are Ctrl-C and a closed pipe.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterator

NOBODY_READS = 141  # as shells say of SIGPIPE
INTERRUPTED = 130  # … and of Ctrl-C


def guarded(work: Callable[[], object]) -> int:
    """The work's exit code: its own, or that of what it met."""
    try:
        result = work()
        # Here, where a closed pipe is understood, and not when the interpreter ends.
        sys.stdout.flush()
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        return NOBODY_READS
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        return _complain(in_words(error), 1)
    except ValueError as error:
        told = list(_settings(error))
        if not told:
            raise
        return _complain("\n".join(told), 2)
    return result if isinstance(result, int) else 0


def is_mistake(error: Exception) -> bool:
    """Whether an error is told in one line, rather than a fault of ours."""
    return isinstance(error, OSError) or (
        isinstance(error, ValueError) and any(True for _ in _settings(error))
    )


def in_words(error: OSError) -> str:
    """The file, or whatever it is about, and what the system says of it."""
    said = (error.strerror or str(error) or type(error).__name__).lower()
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return f"{' → '.join(names)}: {said}" if names else said


def _settings(error: ValueError) -> Iterator[str]:
    """Of a variable that can't be meant: its name and what it may be. Nothing for other errors."""
    settings = sys.modules.get("sinal_core.settings")
    pydantic = sys.modules.get("pydantic")
    if settings is None or pydantic is None or not isinstance(error, pydantic.ValidationError):
        return
    if error.title != settings.TITLE:
        return
    for one in error.errors(include_input=False, include_url=False):
        name = "_".join(map(str, one["loc"])).upper()
        yield f"SINAL_{name}: {one['msg'].lower()}" if name else str(one["msg"])


def _complain(words: str, code: int) -> int:
    print(words, file=sys.stderr)
    return code


def _nobody_reads() -> bool:
    """Whether it is our output that was closed (`| head`) and no socket.

    What is left of it goes nowhere then.
    """
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)  # errors are told unasked
    if not any(told & select.POLLERR for _, told in output.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True
