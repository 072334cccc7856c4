"""The scripts that are served are those that the sources make."""

from __future__ import annotations

import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

TRACKER = Path(__file__).parents[2] / "tracker"


def test_the_committed_scripts_are_what_the_sources_build(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node and (TRACKER / "node_modules/esbuild").exists(), (
        "run `make tracker` once: it installs esbuild"
    )
    subprocess.run([node, "build.mjs", str(tmp_path)], cwd=TRACKER, check=True)
    for name in ("s.min.js", "s2.min.js"):
        committed = files("sinal_hub.ingest.tracking").joinpath(name).read_bytes()
        assert (tmp_path / name).read_bytes() == committed, (
            f"the sources have changed: run `make tracker`, commit {name}"
        )
