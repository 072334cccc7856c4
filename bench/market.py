"""How often matching is right: a simulated market with known truth, through the real worker over a real PostgreSQL.

python bench/market.py [--seeds 1,2,3] [--sales 3000] [--hard 40] [--charts FOLDER] [--json FILE]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.support import report, scenes, verdicts
from bench.support.town import Town
from bench.support.verdicts import Verdict


async def run(seeds: list[int], *, everyday: int, hard: int) -> list[Verdict]:
    """A market of each seed, on a database each."""
    found: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="sinal-market-", ignore_cleanup_errors=True) as folder:
        async with verdicts.server(Path(folder)) as databases:
            for seed in seeds:
                began = time.perf_counter()
                town = Town(seed, verdicts.now_ms())
                scenes.play(town, everyday=everyday, hard=hard)
                found += await verdicts.judge(await databases(), town)
                took = time.perf_counter() - began
                print(f"seed {seed}: {len(town.bought)} sales, {len(town.facts)} facts, {took:.1f} s")
    return found


def main() -> None:
    """Parse arguments, run, report."""
    parser = report.parser(__doc__)
    parser.add_argument("--seeds", type=lambda text: [int(word) for word in text.split(",")], default=[1])
    parser.add_argument("--sales", type=int, default=3_000)
    parser.add_argument("--hard", type=int, default=40, help="times each hard scene is played")
    parser.add_argument("--wrong", action="store_true", help="print wrong matches")
    options = parser.parse_args()
    found = uvloop.run(run(options.seeds, everyday=options.sales, hard=options.hard))
    for key in ("scene", "rule"):
        print()
        report.table(verdicts.by(found, key))
    print()
    report.table(verdicts.calibration(found))
    print()
    report.table(
        [
            {"": "hard" if hard else "everyday", **verdicts.sums([v for v in found if v.hard is hard])}
            for hard in (False, True)
        ]
    )
    if options.wrong:
        for v in found:
            if (v.automatic and not v.right) or (not v.automatic and v.wanted):
                print(v)


if __name__ == "__main__":
    main()
