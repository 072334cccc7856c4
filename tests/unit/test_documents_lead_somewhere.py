"""Links in the documents lead to files and headings that are there, and every page can be found from another."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def tracked() -> list[Path]:
    """Every Markdown file of the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return sorted(path for name in names.split("\0") if name and (path := ROOT / name).exists())


PAGES = tracked()


def links(page: Path) -> list[str]:
    """Relative links of a page; code is no link."""
    found = _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
    return [link for link in found if not re.match(r"[a-z][a-z0-9+.-]*:", link)]


def anchors(page: Path) -> set[str]:
    """Its headings as a link names them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(text))
    return {word.replace(" ", "-") for word in words}


def target(page: Path, link: str) -> Path:
    """The file that a link of a page means."""
    name = link.partition("#")[0]
    return (page.parent / name).resolve() if name else page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    broken = [link for link in links(page) if not target(page, link).exists()]
    assert not broken
    named = [(link, target(page, link)) for link in links(page) if "#" in link]
    lost = [link for link, there in named if there.suffix == ".md" and link.partition("#")[2] not in anchors(there)]
    assert not lost, "no heading of that name"


@pytest.mark.parametrize(
    "page", sorted(path for path in (ROOT / "docs").rglob("*") if path.is_file()), ids=lambda page: page.name
)
def test_every_page_is_linked_from_another(page: Path) -> None:
    readers = [other for other in PAGES if other != page and page in [target(other, link) for link in links(other)]]
    assert readers, "link it from README.md"


def test_the_pages_are_there() -> None:
    assert {ROOT / "README.md", ROOT / "docs" / "users" / "api.md"} <= set(PAGES)
    assert sum(len(links(page)) for page in PAGES) > 20
