"""Loads every `tests/support/fix_*.py`: real services and other fixtures that several folders
share.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, settings

# How long an example takes is the machine's affair, here as in Hypothesis' own profile for CI.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if "CI" not in os.environ:
    settings.load_profile("unhurried")

pytest_plugins = [
    f"tests.support.{path.stem}"
    for path in sorted((Path(__file__).parent / "support").glob("fix_*.py"))
]
