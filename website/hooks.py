"""What MkDocs does not do by itself: links as a forge reads them, pages of the root, folders in the
menu, file names.

The pages are written to be read in a repository. There a link may lead to any file of it, or to a
folder. Here it leads to the page that was made of the file, to the source at `extra.source`, or,
where nobody gave that address, nowhere.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
OF_THE_ROOT = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
OWN_FILES = ("website.css", "favicon.svg")
_BLOCK = re.compile(r"^(\s*```.*?^\s*```)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\[\]]+)\]\((?P<link>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
_MOVED = """<!doctype html><meta charset="utf-8"><title>Sinal</title><meta name="robots" content="noindex">
<meta http-equiv="refresh" content="0; url={to}"><a href="{to}">The page is here.</a>
"""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of a folder where the menu names the folder."""
    config.nav = _unfolded(config.nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take in the pages of the root and the site's own files."""
    for name in OF_THE_ROOT:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for name in OWN_FILES:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / "website" / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the links of a page into those of the site.

    What stands in a block of code is left alone.
    """
    uri, source = page.file.src_uri, config.extra["source"]
    parts = _BLOCK.split(markdown)
    parts[::2] = [_LINK.sub(lambda found: _turned(found, uri, source), part) for part in parts[::2]]
    return "".join(parts)


def on_env(env: Environment, config: MkDocsConfig, files: Files) -> None:
    """Let each page be found under its file's name as well: alerts print
    `runbooks/SinalBreakerOpen.md`.
    """
    for file in files.documentation_pages():
        named = Path(config.site_dir) / file.src_uri / "index.html"
        named.parent.mkdir(parents=True, exist_ok=True)
        named.write_text(
            _MOVED.format(to=posixpath.relpath(file.url, file.src_uri) + "/"), encoding="utf-8"
        )


def _unfolded(nav: Any) -> Any:
    if isinstance(nav, list):
        return [_unfolded(item) for item in nav]
    if isinstance(nav, dict):
        return {title: _unfolded(item) for title, item in nav.items()}
    if isinstance(nav, str) and nav.endswith("/"):
        pages = sorted(
            (DOCS / nav).glob("*.md"), key=lambda page: (page.name != "README.md", page.name)
        )
        return [nav + page.name for page in pages]
    return nav


def _turned(found: re.Match[str], uri: str, source: str) -> str:
    """A link of the page `uri`, as the site has it."""
    text, link, anchor = found["text"], found["link"], found["anchor"] or ""
    if re.match(r"[a-z][a-z0-9+.-]*:", link):
        return found[0]
    here = posixpath.dirname(uri if uri in OF_THE_ROOT else f"docs/{uri}")
    path = posixpath.normpath(posixpath.join(here, link))
    there = _page(path)
    if there is not None:
        return f"[{text}]({posixpath.relpath(there, posixpath.dirname(uri) or '.')}{anchor})"
    return f"[{text}]({source}/{path}{anchor})" if source else text


def _page(path: str) -> str | None:
    """What the site made of a path of the repository, or None."""
    # in the README's place stands the documents' own first page
    if path in (*OF_THE_ROOT, "README.md"):
        return path
    if path == "docs" or path.startswith("docs/"):
        inside = path.removeprefix("docs").removeprefix("/")
        return posixpath.join(inside, "README.md") if (DOCS / inside).is_dir() else inside
    return None
