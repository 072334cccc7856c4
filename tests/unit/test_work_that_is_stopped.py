"""Work that a signal breaks off: how it ends is not news, whatever the signal broke beside it."""

from __future__ import annotations

import asyncio
import gc

import pytest

from sinal_cli.roles.process import unless


class ChildEnded(RuntimeError):
    """A service that the signal reached as well."""


async def test_work_has_its_result_where_nobody_stops_it() -> None:
    assert await unless(asyncio.Event(), asyncio.sleep(0, "done")) == "done"


async def test_a_failure_is_raised_where_nobody_stopped_it() -> None:
    async def failing() -> None:
        raise ChildEnded

    with pytest.raises(ChildEnded):
        await unless(asyncio.Event(), failing())


@pytest.mark.parametrize("before", [True, False], ids=["before-it-is-broken-off", "while-it-is"])
async def test_a_failure_that_the_same_signal_caused_is_neither_raised_nor_logged(
    before: bool,
) -> None:
    stop, told = asyncio.Event(), list[str]()
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: told.append(context["message"])
    )

    async def failing() -> str:
        stop.set()
        try:
            await asyncio.sleep(0 if before else 60)
        finally:
            raise ChildEnded

    assert await unless(stop, failing()) is None
    gc.collect()  # a task with an error that nobody took says so when it goes
    assert told == []
