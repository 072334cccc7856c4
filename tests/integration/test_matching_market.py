"""A small simulated market with known truth keeps its floors.

`bench/market.py` is the whole of it.
"""

from __future__ import annotations

from bench.support import scenes, verdicts
from bench.support.town import Town

SEED = 101
EVERYDAY, HARD = 400, 6


async def test_matching_is_right_in_a_market_with_known_truth(postgres: str) -> None:
    town = Town(SEED, verdicts.now_ms())
    scenes.play(town, everyday=EVERYDAY, hard=HARD)
    found = await verdicts.judge(postgres, town)
    everyday, hard = (
        verdicts.sums([one for one in found if one.hard is kind]) for kind in (False, True)
    )
    wrong = [
        one
        for one in found
        if one.automatic != one.right and not one.hard and (one.automatic or one.wanted)
    ]
    assert everyday["precision"] >= 99.5, wrong
    assert everyday["recall"] >= 98, wrong
    assert hard["precision"] >= 80
    assert everyday["stranger"] == 0
    assert everyday["after"] + hard["after"] == 0
