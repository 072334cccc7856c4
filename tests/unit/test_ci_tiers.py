"""CI's lanes: what runs beside what, what a failure shows, and that every test of the project is in
one of them.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import tiers
from tests.support.chaos.faults import MAINS

ROOT = Path(__file__).parents[2]
PLAYED = """
import sys
sys.path.insert(0, {folder!r})
from tiers import Run, Tier

def tier(name, script, *after):
    return Tier(name, ("bash", "-c", script), frozenset(after))

sys.exit(Run([{lanes}], limit_s={limit_s}, says_s=0.5, leaves_s=0.5).play())
"""


def script(*played: str, limit_s: float = 60) -> list[str]:
    """A process that runs such lanes: it reaps whatever comes to it, so it is none of this one's
    business.
    """
    text = PLAYED.format(
        folder=str(ROOT / ".ci"), lanes=", ".join(f"[{lane}]" for lane in played), limit_s=limit_s
    )
    return [sys.executable, "-c", text]


def play(*played: str, limit_s: float = 60) -> tuple[int, str]:
    command = script(*played, limit_s=limit_s)
    done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=120)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def test_lanes_run_beside_one_another_and_a_tier_waits_for_what_it_needs(tmp_path: Path) -> None:
    def met(own: str, other: str) -> str:
        return f"touch {tmp_path}/{own}; until [ -e {tmp_path}/{other} ]; do sleep 0.05; done"

    code, said = play(
        f"tier('a', '{met('a', 'b')}'), tier('late', 'echo late is here', 'b')",
        f"tier('b', '{met('b', 'a')}; echo ==== 3 passed, 1 skipped in 1.20s ====')",
    )
    assert code == 0, said
    assert said.index("b ended well") < said.index("late begins")
    assert "\nlate is here\n" in said
    assert re.search(r"^b +\d+ +\d+ +3 +1$", said, re.MULTILINE), said
    assert re.search(r"^all +\d+ +\d+ +3 +1$", said, re.MULTILINE), said


def test_a_failure_fails_the_run_and_the_others_are_played_but_for_those_that_need_it() -> None:
    code, said = play(
        "tier('bad', 'echo this is why; exit 7'), tier('next', 'echo next in the lane')",
        "tier('other', 'echo another lane', 'next'), tier('needy', 'echo not to be seen', 'bad')",
        "Tier('quiet', ('echo', 'last of all'), behind=frozenset(['bad', 'other', 'needy']))",
    )
    assert code == 1
    assert "bad FAILED with 7" in said
    for words in ("this is why", "next in the lane", "another lane"):
        assert words in said
    assert "not to be seen" not in said
    assert "FAILED: needy was not played: it needs bad" in said
    assert said.index("another lane") < said.index("last of all"), (
        "it was to let the others go first"
    )
    assert "FAILED: bad ended with 7; what it said is above" in said


def test_a_run_that_is_too_long_lets_its_tiers_clean_up_and_shows_what_each_said(
    tmp_path: Path,
) -> None:
    code, said = play(
        f"tier('long', '''echo half a way; trap 'touch {tmp_path}/tidy; exit 1' INT; while :; do "
        "sleep 0.1; done''')",
        limit_s=2,
    )
    assert code == 1
    assert "half a way" in said
    assert (tmp_path / "tidy").exists(), "it was not asked to clean up"


def test_what_outlives_its_tier_is_named_ended_and_a_failure() -> None:
    # It is to be what it will be when the tier ends: before that it is a copy of its shell, then
    # `setsid`.
    there = "until grep -aq ^sleep /proc/$!/cmdline; do sleep 0.05; done"
    code, said = play(f"tier('careless', 'setsid sleep 300 & {there}; echo done')")
    assert code == 1
    found = re.search(r"careless left processes behind: (\d+) sleep 300", said)
    assert found, said
    assert not Path(f"/proc/{found[1]}").exists()


def test_what_was_not_seen_when_its_tier_ended_is_a_failure_all_the_same(tmp_path: Path) -> None:
    """A process that is just becoming another program shows nothing of itself for a moment."""
    hidden = f"until [ -e {tmp_path}/ended ]; do sleep 0.05; done; SINAL_CI_TIER=$1 exec sleep 300"
    sly = f"setsid env -i bash -c '{hidden}' hidden $SINAL_CI_TIER & echo $! > {tmp_path}/pid"
    there = (
        f"touch {tmp_path}/ended; until grep -aq ^sleep /proc/$(cat {tmp_path}/pid)/cmdline; "
        "do sleep 0.05; done"
    )
    code, said = play(f"tier('sly', \"\"\"{sly}\"\"\"), tier('next', '{there}')")
    assert "sly ended well" in said
    assert code == 1, said
    assert re.search(r"FAILED: a tier left (\d+) sleep 300", said), said


def test_a_run_that_takes_too_long_or_is_told_to_end_shows_where_it_was() -> None:
    code, said = play("tier('slow', 'echo at the third of nine; sleep 300')", limit_s=2)
    assert code == 1
    assert re.search(r"slow: \d s, at the third of nine", said), "no word while it ran"
    assert "FAILED: not done after 2 s" in said

    with subprocess.Popen(
        script("tier('slow', 'echo begun; sleep 300')"), text=True, stdout=subprocess.PIPE
    ) as run:
        assert run.stdout
        first = run.stdout.readline()
        assert "slow begins" in first
        run.send_signal(signal.SIGTERM)
        rest = run.stdout.read()
        assert run.wait(60) == 1
    assert "FAILED: told to end by SIGTERM" in rest


def test_tiers_that_wait_for_one_another_are_a_failure() -> None:
    code, said = play("tier('a', 'true', 'b')", "tier('b', 'true', 'a')")
    assert code == 1
    assert "nothing can start: a, b wait for one another" in said


def recipes() -> dict[str, str]:
    """What the Makefile does for each target."""
    text = (ROOT / "Makefile").read_text()
    return {
        found[1]: found[2]
        for found in re.finditer(r"^([a-z0-9-]+):.*\n((?:\t.*\n)*)", text, re.MULTILINE)
    }


def test_every_folder_of_tests_is_in_a_tier() -> None:
    played = {tier.name for lane in tiers.lanes(node=True, day=1) for tier in lane}
    done = "".join(recipe for target, recipe in recipes().items() if target in played)
    done = done.replace("tests/e2e/on-node.sh all", "tests/e2e")
    folders = {
        path.parent.relative_to(ROOT / "tests").parts[0]
        for path in (ROOT / "tests").rglob("test_*.py")
    }
    assert {folder for folder in folders if not re.search(rf"tests/{folder}\b", done)} == set()


def test_every_part_of_make_test_is_a_tier() -> None:
    parts = re.search(r"^test: (.*?) *##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert parts
    played = {tier.name for lane in tiers.lanes(node=False, day=1) for tier in lane}
    assert set(parts[1].split()) <= played


def test_a_turn_of_chaos_has_each_main_fault_and_each_day_another() -> None:
    def seeds(day: int) -> range:
        words = next(
            tier
            for lane in tiers.lanes(node=False, day=day)
            for tier in lane
            if tier.name == "chaos"
        ).command
        asked = dict(word.split("=") for word in words if word.startswith("S"))
        return range(int(asked["SEED"]), int(asked["SEED"]) + int(asked["SCHEDULES"]))

    assert {seed % len(MAINS) for seed in seeds(20_000)} == set(range(len(MAINS)))
    assert not set(seeds(20_000)) & set(seeds(20_001))


def test_only_what_is_named_is_run() -> None:
    found = tiers.only(["charts", "unit"], tiers.lanes(node=True, day=1))
    assert sorted(tier.name for lane in found for tier in lane) == ["charts", "unit"]
    assert not any(tier.after for lane in found for tier in lane), "it would wait for ever"
