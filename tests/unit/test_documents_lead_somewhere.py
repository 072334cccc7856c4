"""Links in the documents lead to files and headings that are there, and every page can be found
from another.
"""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def tracked() -> list[Path]:
    """Every file of the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return sorted(path for name in names.split("\0") if name and (path := ROOT / name).exists())


TRACKED = tracked()
PAGES = [path for path in TRACKED if path.suffix == ".md"]


@cache
def links(page: Path) -> list[str]:
    """Relative links of a page; code is not a link."""
    found = _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
    return [link for link in found if not re.match(r"[a-z][a-z0-9+.-]*:", link)]


@cache
def anchors(page: Path) -> set[str]:
    """Its headings as a link names them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(text))
    return {word.replace(" ", "-") for word in words}


@cache
def target(page: Path, link: str) -> Path:
    """The file that a link of a page means."""
    name = link.partition("#")[0]
    return (page.parent / name).resolve() if name else page


FILES = sorted(path for path in (ROOT / "docs").rglob("*") if path.is_file())
LINKED_FROM: dict[Path, set[Path]] = {}
for _page in PAGES:
    for _link in links(_page):
        LINKED_FROM.setdefault(target(_page, _link), set()).add(_page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    broken = [link for link in links(page) if not target(page, link).exists()]
    assert not broken
    named = [(link, target(page, link)) for link in links(page) if "#" in link]
    lost = [
        link
        for link, there in named
        if there.suffix == ".md" and link.partition("#")[2] not in anchors(there)
    ]
    assert not lost, "no heading of that name"


@pytest.mark.parametrize("page", FILES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_page_is_linked_from_another(page: Path) -> None:
    assert LINKED_FROM.get(page, set()) - {page}, "link it from docs/README.md"


def test_the_pages_are_there() -> None:
    assert {ROOT / "README.md", ROOT / "docs" / "users" / "api.md"} <= set(PAGES)
    assert sum(len(links(page)) for page in PAGES) > 20


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs" / "developers").rglob("*.md")), ids=lambda page: page.name
)
def test_files_that_a_page_for_developers_names_are_there(page: Path) -> None:
    named = set(
        re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|sql|sh|md))`", page.read_text(encoding="utf-8"))
    )
    files = [f"/{path.relative_to(ROOT)}" for path in TRACKED]
    assert not {name for name in named if not any(file.endswith(f"/{name}") for file in files)}
