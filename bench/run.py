"""All benches that have a goal, one after the other, and which goals were kept.

    python bench/run.py [--only drain,idle] [--folder FOLDER]

Exit status 1 when a goal was missed. FOLDER takes the JSON of each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.support import report

from tests.cluster.support import assets

BENCHES = ("ingest", "end_to_end", "drain", "market", "tenants", "hanging", "idle", "start")
# where the control plane's programs are at hand: see docs/operators/operator.md
OF_A_CLUSTER = ("operator",)
LIMIT_S = 900  # of one bench


def main() -> int:
    """Run and sum up."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", type=lambda text: text.split(","), default=None)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        wanted = options.only or [*BENCHES, *(OF_A_CLUSTER if assets.at_hand() else ())]
        goals = [goal for name in wanted for goal in run(name, folder / f"{name}.json")]
    print("\n== goals")
    report.table(goals)
    return 0 if all(goal["kept"] for goal in goals) else 1


def run(name: str, result: Path) -> list[report.Row]:
    """Goals of one bench; one that was not kept when it came to no end."""
    print(f"\n== {name}", flush=True)
    result.unlink(missing_ok=True)
    folder, program = Path(__file__).with_name(name), Path(__file__).with_name(f"{name}.py")
    command = [sys.executable, str(folder if folder.is_dir() else program), "--json", str(result)]
    try:
        subprocess.run(command, check=True, timeout=LIMIT_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
    if not result.exists():
        return [
            {
                "bench": name,
                "goal": "comes to an end",
                "measured": 0.0,
                "bound": "yes",
                "kept": False,
            }
        ]
    return [{"bench": name, **goal} for goal in json.loads(result.read_text())["goals"]]


if __name__ == "__main__":
    sys.exit(main())
