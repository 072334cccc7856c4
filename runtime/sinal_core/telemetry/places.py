"""Where a fault was raised, as a log may show it."""

from __future__ import annotations


def where(error: BaseException) -> str:
    """Module and line that raised, for a log: the text of an exception, and locals, may hold data
    of a person.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return (
        "" if trace is None else f"{trace.tb_frame.f_globals.get('__name__', '')}:{trace.tb_lineno}"
    )
