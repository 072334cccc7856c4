"""Matching's decisions about a town, beside what is true of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from bench.support.town import Bought, Town

from sinal_cli.embedded.postgres import Postgres
from sinal_hub.store.migrate import migrate

from tests.support.fix_matching import opened

BATCH = 200  # facts in a transaction, as lanes bring them under load
HARD_SHARE = 0.05
_UNSAFE = {"fsync": "off", "synchronous_commit": "off"}  # the databases live as long as the program


@dataclass(frozen=True)
class Verdict:
    """What was decided about one purchase, and whether that is right.

    `stranger`: the click is another person's; `after`: it was made after the purchase.
    """

    scene: str
    hard: bool
    decision: str
    rule: str
    score: float
    chosen: str | None
    wanted: str | None
    right: bool
    stranger: bool
    after: bool

    @property
    def automatic(self) -> bool:
        """Whether nobody was asked."""
        return self.decision == "match"


def now_ms() -> int:
    """This second in Unix ms."""
    return int(datetime.now(UTC).timestamp()) * 1_000


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """A PostgreSQL of its own, which gives empty databases."""
    postgres = Postgres(
        folder / "postgres", password="pg", log=folder / "postgres.log", settings=_UNSAFE
    )
    await postgres.start()
    made: list[str] = []

    async def database() -> str:
        made.append(f"market{len(made)}")
        async with await psycopg.AsyncConnection.connect(
            postgres.url(), autocommit=True
        ) as connection:
            await connection.execute(f"create database {made[-1]}".encode())
        url = postgres.url(database=made[-1])
        await migrate(url)
        return url

    try:
        yield database
    finally:
        await postgres.stop()


async def judge(url: str, town: Town) -> list[Verdict]:
    """Hand the town's facts over in the sequence they arrive, then look at what stands."""
    async with opened(url) as room:
        facts = [event for _, event in sorted(town.facts, key=lambda fact: fact[0])]
        for start in range(0, len(facts), BATCH):
            await room.deliver(*facts[start : start + BATCH])
            room.pass_time(seconds=1)
        room.pass_time(seconds=30)
        for _ in range(3):
            await room.worker.sweep()
            room.pass_time(seconds=30)
        rows = await room.rows(
            "select c.order_key, m.decision, m.rule_applied, m.confidence_score, m.click_id "
            "from conversions c join matches m on m.conversion_id = c.id"
        )
    decided = {row["order_key"]: row for row in rows}
    return [_verdict(town, bought, decided[bought.order]) for bought in town.bought]


def _verdict(town: Town, bought: Bought, row: dict[str, Any]) -> Verdict:
    chosen = row["click_id"]
    visit = town.visits.get(chosen) if chosen else None
    return Verdict(
        bought.scene,
        bought.hard,
        row["decision"],
        row["rule_applied"],
        row["confidence_score"],
        chosen,
        bought.wanted,
        chosen in bought.right,
        visit is not None and chosen not in bought.theirs,
        visit is not None and visit.at > bought.at,
    )


def sums(found: Sequence[Verdict]) -> dict[str, Any]:
    """Precision of automatic matches, recall of ad clicks."""
    automatic = [v for v in found if v.automatic]
    wanted = [v for v in found if v.wanted]
    return {
        "sales": len(found),
        "matches": len(automatic),
        "precision": 100 * sum(v.right for v in automatic) / max(1, len(automatic)),
        "with ad": len(wanted),
        "recall": 100 * sum(v.right and v.automatic for v in wanted) / max(1, len(wanted)),
        "review": sum(v.decision == "review" for v in found),
        "stranger": sum(v.automatic and v.stranger for v in found),
        "after": sum(v.automatic and v.after for v in found),
    }


def by(found: Iterable[Verdict], key: str) -> list[dict[str, Any]]:
    """The same for each scene, or each rule."""
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in found:
        groups[
            f"{'hard ' if verdict.hard and key == 'scene' else ''}{getattr(verdict, key)}"
        ].append(verdict)
    return [{key: name, **sums(group)} for name, group in sorted(groups.items())]


def calibration(found: Sequence[Verdict]) -> list[dict[str, Any]]:
    """How often a score was right, in steps of 0.05.

    Also below the thresholds, where a click was named.

    Hard scenes are played far more often than life does: together they weigh a twentieth here.
    """
    hard = sum(one.hard for one in found)
    weight = HARD_SHARE / (1 - HARD_SHARE) * (len(found) - hard) / max(1, hard)
    groups: dict[float, list[Verdict]] = defaultdict(list)
    for verdict in found:
        if verdict.score > 0 and verdict.chosen:
            groups[round(verdict.score * 20) / 20].append(verdict)
    return [
        {"score": score, "cases": len(group), "right": _share(group, weight)}
        for score, group in sorted(groups.items())
    ]


def _share(group: Sequence[Verdict], hard: float) -> float:
    weighed = [(hard if one.hard else 1.0, one.right) for one in group]
    return (
        100
        * sum(weight for weight, right in weighed if right)
        / sum(weight for weight, _ in weighed)
    )
