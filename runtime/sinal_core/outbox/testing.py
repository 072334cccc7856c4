"""Stand-ins for tests of whoever builds on the outbox: messages of a bus."""

from __future__ import annotations


class FakeMessage:
    """A message that keeps its settlement: `ack`, `nak` or `hold` with its delay, or `term`."""

    def __init__(self, body: bytes, *, deliveries: int = 1) -> None:
        self.body = body
        self.deliveries = deliveries
        self.traceparent: str | None = None
        self.settlement: str | None = None
        self.delay_s: float | None = None

    async def ack(self) -> None:
        """Done."""
        self._settle("ack")

    async def nak(self, delay_s: float = 0.0) -> None:
        """Again."""
        self._settle("nak", delay_s)

    async def hold(self, delay_s: float, *, whole_lane: bool = False) -> None:
        """Again, or sooner."""
        del whole_lane
        self._settle("hold", delay_s)

    async def term(self) -> None:
        """Never again."""
        self._settle("term")

    def _settle(self, how: str, delay_s: float | None = None) -> None:
        if self.settlement is None:
            self.settlement, self.delay_s = how, delay_s
