"""Charts as SVG, made of nothing but text: bars by name, and how often a score was right."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_BAR, _LABEL, _WIDE = 18, 230, 400
_STYLE = (
    "<style>text{font:12px "
    "sans-serif;fill:#57606a}.bar{fill:#3b7dd8}.faint{fill:#3b7dd8;opacity:.35}"
    ".line{stroke:#8c959f;stroke-width:1}.dot{fill:#3b7dd8}</style>"
)


def bars(title: str, rows: Sequence[tuple[str, float, float]]) -> str:
    """Two bars a row, both in percent: precision, and recall below it in a fainter colour."""
    parts = [f'<text x="0" y="14">{escape(title)}</text>']
    for place, (name, strong, faint) in enumerate(rows):
        top, half = 30 + place * (_BAR + 10), _BAR / 2
        first, second = _WIDE * strong / 100, _WIDE * faint / 100
        parts += [
            f'<text x="{_LABEL - 8}" y="{top + 13}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="bar" x="{_LABEL}" y="{top}" width="{first:.1f}" height="{half}"/>',
            f'<rect class="faint" x="{_LABEL}" y="{top + half}" width="{second:.1f}" '
            f'height="{half}"/>',
            f'<text x="{_LABEL + _WIDE + 8}" y="{top + 13}">{strong:.1f} · {faint:.1f}</text>',
        ]
    return _drawn(_LABEL + _WIDE + 100, 40 + len(rows) * (_BAR + 10), parts)


def reliability(title: str, rows: Sequence[tuple[float, float, int]]) -> str:
    """Score across, share that was right up; a dot on the line is an honest score.

    Its size is the number of cases.
    """
    side, left = 320, 50
    parts = [
        f'<text x="0" y="14">{escape(title)}</text>',
        f'<line class="line" x1="{left}" y1="{side + 30}" x2="{left + side}" y2="30"/>',
    ]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts += [
            f'<text x="{left + side * tick}" y="{side + 50}" text-anchor="middle">{tick:g}</text>',
            f'<text x="{left - 8}" y="{30 + side * (1 - tick) + 4:.1f}" '
            f'text-anchor="end">{tick:g}</text>',
        ]
    for score, right, cases in rows:
        x, y = left + side * score, 30 + side * (1 - right)
        parts.append(
            f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{min(12.0, 2 + cases**0.25):.1f}">'
            f"<title>{score:g}: right in {100 * right:.1f} % of {cases}</title></circle>"
        )
    return _drawn(left + side + 40, side + 70, parts)


def _drawn(width: int, height: int, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">'
    )
    return "\n".join([head, _STYLE, *parts, "</svg>", ""])
