"""Which modules a process has imported, by what CPython says of it where PYTHONPROFILEIMPORTTIME is
set.

It tells of import statements: a module that `importlib.import_module` brings is left out, what that
one imports is not.
"""

from __future__ import annotations

import re
import sys
from collections import Counter

PROFILED = {"PYTHONPROFILEIMPORTTIME": "1"}
_LINE = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.MULTILINE)


def imported(log: str) -> frozenset[str]:
    """All modules, by their whole names; one that was tried and is not installed counts."""
    return frozenset(_LINE.findall(log))


def large(modules: frozenset[str], *, least: int) -> set[str]:
    """Packages, neither ours nor the standard library's, of which so many modules are there."""
    counted = Counter(module.partition(".")[0] for module in modules)
    return {
        name
        for name, count in counted.items()
        if count >= least and name not in sys.stdlib_module_names and not name.startswith("sinal_")
    }


def within(package: str, modules: frozenset[str]) -> set[str]:
    """The package itself and what is below it, as far as it is there."""
    return {module for module in modules if module == package or module.startswith(f"{package}.")}
