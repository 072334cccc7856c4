"""How often matching is right: a simulated market with known truth, through the real worker over a
real PostgreSQL.

    python bench/market.py [--seeds 11,12,13] [--sales 3000] [--hard 40] [--charts FOLDER] [--json
    FILE]

Everyday scenes stand in about the shares of a Brazilian funnel, hard ones mislead on purpose; each
is described in `bench/support/scenes.py`. Precision counts automatic matches, recall the purchases
that an ad click led to. The rules were tuned on seeds 1 to 9: judge by others.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.support import charts, report, scenes, verdicts
from bench.support.town import Town
from bench.support.verdicts import Verdict


async def run(seeds: Sequence[int], *, everyday: int, hard: int) -> list[Verdict]:
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
                print(
                    f"seed {seed}: {len(town.bought)} sales, {len(town.facts)} facts, {took:.1f} s",
                    flush=True,
                )
    return found


def goals(found: Sequence[Verdict]) -> list[report.Row]:
    """What is promised of the market beside what was found."""
    everyday, hard = (
        verdicts.sums([one for one in found if one.hard is kind]) for kind in (False, True)
    )
    return [
        report.goal("everyday precision, %", everyday["precision"], 99.5, at_least=True),
        report.goal("everyday recall, %", everyday["recall"], 98, at_least=True),
        report.goal("hard precision, %", hard["precision"], 80, at_least=True),
        report.goal("everyday matches with a stranger", everyday["stranger"], 0, at_least=False),
        report.goal(
            "matches with a click after the purchase",
            everyday["after"] + hard["after"],
            0,
            at_least=False,
        ),
    ]


def draw(found: Sequence[Verdict], folder: Path) -> None:
    """The charts of docs/users/matching.md."""
    for name, kind in (("everyday", False), ("hard", True)):
        rows = verdicts.by([one for one in found if one.hard is kind], "scene")
        shown = [
            (row["scene"].replace("_", " "), row["precision"], row["recall"])
            for row in rows
            if row["matches"]
        ]
        chart = charts.bars(
            f"{name} scenes: precision of automatic matches · recall of ad clicks, in %", shown
        )
        (folder / f"market-{name}.svg").write_text(chart)
    dots = [(row["score"], row["right"] / 100, row["cases"]) for row in verdicts.calibration(found)]
    (folder / "market-scores.svg").write_text(
        charts.reliability("share that was right, by score", dots)
    )


def main() -> None:
    """Parse arguments, run, report."""
    parser = report.parser(__doc__)
    parser.add_argument(
        "--seeds", type=lambda text: [int(word) for word in text.split(",")], default=[11, 12, 13]
    )
    parser.add_argument("--sales", type=int, default=3_000, help="everyday scenes of each seed")
    parser.add_argument("--hard", type=int, default=40, help="times each hard scene is played")
    parser.add_argument(
        "--charts", type=Path, metavar="FOLDER", help="write the charts of the documents there"
    )
    parser.add_argument(
        "--wrong", action="store_true", help="print what was matched wrongly or not at all"
    )
    options = parser.parse_args()
    found = uvloop.run(run(options.seeds, everyday=options.sales, hard=options.hard))
    for rows in (
        verdicts.by(found, "scene"),
        verdicts.by(found, "rule"),
        verdicts.calibration(found),
    ):
        print()
        report.table(rows)
    kinds = {
        name: [one for one in found if one.hard is kind]
        for name, kind in (("everyday", False), ("hard", True))
    }
    print()
    report.table([{"scenes": name, **verdicts.sums(some)} for name, some in kinds.items() if some])
    for verdict in found if options.wrong else ():
        if verdict.automatic != verdict.right and (verdict.automatic or verdict.wanted):
            print(verdict)
    if options.charts is not None:
        draw(found, options.charts)
    more = {
        "seeds": options.seeds,
        "scenes": verdicts.by(found, "scene"),
        "scores": verdicts.calibration(found),
    }
    report.finish("market", goals(found), more, options.json)


if __name__ == "__main__":
    main()
