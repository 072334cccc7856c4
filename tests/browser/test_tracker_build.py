"""The script that is served is the one that the sources make."""

from __future__ import annotations

import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

TRACKER = Path(__file__).parents[2] / "tracker"


def test_the_committed_script_is_what_the_sources_build(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node and (TRACKER / "node_modules/esbuild").exists(), "run `make tracker` once: it installs esbuild"
    built = tmp_path / "s.min.js"
    subprocess.run([node, "build.mjs", str(built)], cwd=TRACKER, check=True)
    committed = files("sinal_runtime.ingest").joinpath("s.min.js").read_bytes()
    assert built.read_bytes() == committed, "the sources have changed: run `make tracker` and commit s.min.js"
