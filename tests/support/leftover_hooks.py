"""What a test leaves behind fails that test, and not the one that happens to run when it is found.

Looked at after each test: descriptors (sockets, listening ports, files, pipes), threads, child
processes, and tasks of the test's event loop. What a fixture of a wider scope brought stays with
that fixture, and is looked at after its end. A test that has failed is told what it left in its
report, nothing more: its own failure comes first.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from typing import Any

import pytest

from tests.support import leftovers
from tests.support.leftovers import Thing

_RUNNER = "_function_scoped_runner"  # pytest-asyncio's fixture: the loop of one test
_before = pytest.StashKey[set[Thing]]()
_tasks = pytest.StashKey[list[str]]()
_failed = pytest.StashKey[bool]()


class Wider:
    """What fixtures of wider scopes brought."""

    def __init__(self) -> None:
        self._brought: dict[Any, set[Thing]] = {}
        self._ended: list[Any] = []

    def brought(self, fixture: object, things: set[Thing]) -> None:
        """A fixture was set up."""
        self._brought[fixture] = things

    def ended(self, fixture: object) -> None:
        """A fixture was taken down."""
        if fixture in self._brought:
            self._ended.append(fixture)

    def kept(self) -> set[Thing]:
        """What belongs to those that still stand; forgets the others."""
        for fixture in self._ended:
            self._brought.pop(fixture, None)
        self._ended.clear()
        return set().union(*self._brought.values())

    def orphaned(self) -> set[Thing]:
        """What belonged to those that have ended since the last look."""
        return set().union(*(self._brought[fixture] for fixture in self._ended))


_wider = Wider()


# Outermost: this looks before the first fixture of a test is set up, its twin after the last one is
# torn down.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """What is there before."""
    item.stash[_before], item.stash[_tasks] = leftovers.held(), []
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Whether it has failed."""
    if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
        item.stash[_failed] = True
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """What is there afterwards, and was neither there before nor belongs to a wider fixture."""
    yield
    orphaned = _wider.orphaned()
    left = leftovers.held() - (item.stash[_before] - orphaned) - _wider.kept()
    told = [*item.stash[_tasks], *sorted(map(str, left))]
    if not told:
        return
    told += leftovers.collected()
    if item.stash.get(_failed, False):
        item.add_report_section("teardown", "left behind", "\n".join(told))
    else:
        pytest.fail("left behind: " + "\n  ".join(told), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Note what a wider fixture brings, and look at the tasks of a test's loop before that is
    closed.
    """
    if fixturedef.argname == _RUNNER:
        runner = yield
        fixturedef.addfinalizer(partial(_look_at_tasks, request.node, runner))
        return runner
    if fixturedef.scope == "function":
        return (yield)
    before = leftovers.held()
    try:
        return (yield)
    finally:
        _wider.brought(fixturedef, leftovers.held() - before)


def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[Any]) -> None:
    """A fixture has ended."""
    _wider.ended(fixturedef)


def _look_at_tasks(item: pytest.Item, runner: Any) -> None:
    item.stash[_tasks] += leftovers.pending(runner)
