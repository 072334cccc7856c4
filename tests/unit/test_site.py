"""The web site of the documents: built whole, found under the addresses that alerts print, strict
about links.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from tests.support.runbooks import pages

ROOT = Path(__file__).parents[2]


def build(config: Path, site: Path, source: str = "") -> subprocess.CompletedProcess[str]:
    """What `make site` runs."""
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--config-file",
        str(config),
        "--site-dir",
        str(site),
    ]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "true", "SINAL_SOURCE_URL": source}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", folder, "https://git.example/sinal/src")
    assert done.returncode == 0, done.stderr
    return folder


class Loaded(HTMLParser):
    """What a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag in {"script", "img", "iframe", "source"}:
            self.addresses.append(said.get("src", ""))
        if tag == "link" and said.get("rel") not in {"canonical", "next", "prev"}:
            self.addresses.append(said.get("href", ""))


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = Loaded()
        loaded.feed(page.read_text(encoding="utf-8"))
        assert not [
            address for address in loaded.addresses if re.match(r"(https?:)?//", address)
        ], page
    for style in site.rglob("*.css"):
        assert not re.search(
            r"(url\(|@import "
            r")[\"']?(https?:)?//",
            style.read_text(encoding="utf-8"),
        ), style


def test_a_runbook_is_found_under_the_address_that_an_alert_prints(site: Path) -> None:
    for page in pages():
        there = site / "runbooks" / page.name / "index.html"
        assert f'url=../{page.stem}/"' in there.read_text(encoding="utf-8")
        assert page.stem in (site / "runbooks" / page.stem / "index.html").read_text(
            encoding="utf-8"
        )


def test_the_documents_begin_by_reader_and_can_be_searched(site: Path) -> None:
    assert "You run it for others" in (site / "index.html").read_text(encoding="utf-8")
    assert "SinalBreakerOpen" in (site / "search" / "search_index.json").read_text(encoding="utf-8")


def test_a_link_to_a_file_that_is_no_page_leads_to_the_source(site: Path) -> None:
    tour = (site / "users" / "tour" / "index.html").read_text(encoding="utf-8")
    assert 'href="https://git.example/sinal/src/examples"' in tour


@pytest.mark.parametrize("link", ["[x](nowhere.md)", "[x](README.md#nothing)", "![x](nowhere.svg)"])
def test_a_broken_link_fails_the_build(tmp_path: Path, link: str) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "README.md").write_text(f"# Documents\n\n{link}\n")
    config = {
        "INHERIT": str(ROOT / "mkdocs.yml"),
        "docs_dir": str(tmp_path / "docs"),
        "nav": ["README.md"],
        "hooks": [],
        "extra_css": [],
    }
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(config))
    done = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode == 1
    assert "README.md' contains a link" in done.stderr
