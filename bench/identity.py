"""What normalising and hashing one buyer costs the edge, beside the hashes alone.

    python bench/identity.py [--people 2000] [--json FILE]

The floor is SHA-256 over the same number of values without normalising any.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.support import report

from sinal_hub.identity import ClearUser, hash_user

GOAL_US = 200.0
ROUNDS = 9
VALUES = 8  # hashed of such a person


def person(number: int) -> ClearUser:
    """A buyer as a Brazilian checkout gives one, never the same twice."""
    return ClearUser(
        email=f"Maria.Souza{number}@Example.com",
        phones=(f"(11) 9{number % 10_000_000:07d}1", ""),
        full_name=f"Maria {number} de Souza",
        city="São Paulo",
        state="SP",
        zip="01310-100",
        country="BR",
    )


def best_us(work: Callable[[], object], count: int) -> float:
    """Microseconds for each of `count`, in the fastest of some rounds."""
    took = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return min(took) / count * 1e6


def main() -> None:
    """Measure and report."""
    parser = report.parser(__doc__)
    parser.add_argument("--people", type=int, default=2_000)
    options = parser.parse_args()
    people = [person(number) for number in range(options.people)]
    texts = [f"value-{number}".encode() for number in range(VALUES)]
    hashed = best_us(lambda: [hash_user(one) for one in people], len(people))
    floor = best_us(
        lambda: [hashlib.sha256(text).hexdigest() for _ in people for text in texts], len(people)
    )
    rows = [
        {"what": "a person", "us": round(hashed, 1)},
        {"what": "its hashes alone", "us": round(floor, 1)},
    ]
    report.table(rows)
    goals = [report.goal("microseconds a person", round(hashed, 1), GOAL_US, at_least=False)]
    report.finish("identity", goals, {"rows": rows}, options.json)


if __name__ == "__main__":
    main()
