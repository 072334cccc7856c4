"""The corpus of manifests: what is right passes, what is wrong is refused on its very line and for
its very reason.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sinal_crds.check import check

CORPUS = Path(__file__).parents[1] / "corpus" / "manifests"
BAD = sorted((CORPUS / "bad").glob("*.yaml"))
GOOD = sorted((CORPUS / "good").glob("*.yaml"))


def expected(file: Path) -> list[tuple[int, str]]:
    """Line and text of each `# error:` of a file."""
    lines = enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
    return [(n, match[1]) for n, line in lines if (match := re.search(r"# error: (.*?)\s*$", line))]


def test_the_corpus_is_there() -> None:
    assert len(BAD) >= 35
    assert len(GOOD) >= 5


@pytest.mark.parametrize("file", BAD, ids=lambda file: str(file.stem))
def test_a_bad_manifest_is_refused_where_and_why(file: Path) -> None:
    errors = sorted(check([file]).errors, key=lambda error: error.line or 0)
    wanted = expected(file)
    assert wanted, "a bad manifest says what is wrong with it"
    assert [error.line for error in errors] == [line for line, _ in wanted], "\n".join(
        map(str, errors)
    )
    for error, (line, text) in zip(errors, wanted, strict=True):
        assert str(error).startswith(f"{file}:{line}: ")
        assert text in str(error)


@pytest.mark.parametrize("file", BAD, ids=lambda file: str(file.stem))
def test_a_bad_manifest_says_who_can_know(file: Path) -> None:
    assert re.match(
        r"# judge: (schema|rule|frame|yaml|references)\n", file.read_text(encoding="utf-8")
    )


@pytest.mark.parametrize("file", GOOD, ids=lambda file: str(file.stem))
def test_a_good_manifest_passes(file: Path) -> None:
    report = check([file])
    assert report.ok, "\n".join(map(str, report.errors))
    assert sum(report.counts.values()) > 0


def test_a_token_pasted_into_a_manifest_is_not_repeated_in_the_error() -> None:
    for name in ("destination-token-in-the-manifest", "destination-token-field"):
        file = CORPUS / "bad" / f"{name}.yaml"
        assert "EAABsbCS1iHgBA" in file.read_text(encoding="utf-8")
        assert not any("EAABsbCS1iHgBA" in str(error) for error in check([file]).errors)
