"""Tables that fit their terminal: what is the same in each row is said once, and what matters least
gives way first.

In this sequence, until the rows fit: columns without a word go; constant ones, and a day that all
share, move into the caption; columns give way by their rank; those that may stand beneath their row
do; each row becomes a block of lines. Ids are never cut, and words are folded between them. The
caption names what is not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rich.cells import cell_len
from rich.text import Text

GAP = 2
INDENT = 4
_LEAST = 24  # characters that words have beside their row; with less they stand beneath it
DAY, CLOCK = "%d/%m", "%H:%M:%S"
_WORD = re.compile(r"\S+\s*")
# where a long word may be parted
_JOINT = re.compile(r"[^,;:/&?=|}\])>]*[,;:/&?=|}\])>]+\s*|[^,;:/&?=|}\])>]+\s*")

Cell = str | datetime | None  # markup of rich, or a moment with its zone


@dataclass(frozen=True)
class Column:
    """A column: `gives` is the turn in which it gives way (0: never), `under` lets it stand beneath
    its row.
    """

    title: str
    gives: int = 0
    under: bool = False
    prose: bool = False  # words that may go over several lines; only as the last column
    right: bool = False


@dataclass(frozen=True)
class Shape:
    """Which columns stand where; numbers are those of the table's columns."""

    beside: tuple[int, ...]
    beneath: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()
    constant: tuple[int, ...] = ()
    clock_only: bool = False


class Table:
    """Rows under titles, for terminals of any width."""

    def __init__(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
        self.columns = tuple(columns)
        found = [tuple(row) for row in rows]
        self._rows = [tuple(_text(cell) for cell in row) for row in found]
        self._days = [_day(row[number] for row in found) for number in range(len(self.columns))]

    def lines(self, width: int) -> Iterator[Text]:
        """Title, rows and caption, none of them wider than the terminal unless an id is."""
        shape = self.shape(width)
        if shape is None:
            yield from self._blocks(width)
            return
        yield from self.head(shape)
        for row in self._rows:
            yield from self.row(row, shape, width)
        yield from self._caption(shape, width)

    def shape(self, width: int) -> Shape | None:
        """The first arrangement that fits; None: only blocks of lines do."""
        filled = tuple(
            number
            for number in range(len(self.columns))
            if not self._rows or any(row[number].plain for row in self._rows)
        )
        return next(
            (shape for shape in self._shapes(filled, width) if self._fits(shape, width)), None
        )

    def _shapes(self, filled: tuple[int, ...], width: int) -> Iterator[Shape]:
        yield Shape(filled)
        same = tuple(number for number in filled if self._constant(number))
        varied = tuple(number for number in filled if number not in same)
        plain = Shape(varied, constant=same, clock_only=True)
        yield plain
        may_sink = [
            number for number in varied if self.columns[number].under or self.columns[number].prose
        ]
        leaving = sorted(
            (number for number in varied if self.columns[number].gives),
            key=lambda number: self.columns[number].gives,
        )
        if not may_sink:
            for count in range(1, len(leaving) + 1):
                yield _without(plain, leaving[:count])
            return
        for count in range(1, len(leaving)):  # most may leave before rows take two lines
            yield _without(plain, leaving[:count])
        beside = tuple(number for number in varied if number not in may_sink)
        sunk = replace(plain, beside=beside, beneath=tuple(may_sink))
        for count in range(len(leaving) + 1):
            yield self._sunk(sunk, leaving[:count], width)

    def _sunk(self, shape: Shape, leaving: Sequence[int], width: int) -> Shape:
        """What gives way stands beneath its row too, as far as there is room before words."""
        short = [number for number in shape.beneath if not self.columns[number].prose]
        room = width - INDENT - sum(self._width(number, shape) + GAP for number in short)
        taken = []
        for number in leaving:
            if number not in shape.beneath and self._width(number, shape) + GAP <= room:
                taken.append(number)
                room -= self._width(number, shape) + GAP
        beside = tuple(number for number in shape.beside if number not in leaving)
        words = [number for number in shape.beneath if self.columns[number].prose]
        lost = tuple(number for number in leaving if number in shape.beside and number not in taken)
        return replace(shape, beside=beside, beneath=(*short, *taken, *words), lost=lost)

    def _constant(self, number: int) -> bool:
        """Whether a column that may leave says the same in each of several rows."""
        if len(self._rows) < 2 or not self.columns[number].gives:
            return False
        return len({row[number].plain for row in self._rows}) == 1

    def _fits(self, shape: Shape, width: int) -> bool:
        if not shape.beside:
            return False
        needed = sum(self._least(number, shape) for number in shape.beside) + GAP * (
            len(shape.beside) - 1
        )
        short = [number for number in shape.beneath if not self.columns[number].prose]
        below = (
            INDENT
            + sum(self._width(number, shape) for number in short)
            + GAP * max(0, len(short) - 1)
        )
        return needed <= width and (not short or below <= width)

    def _width(self, number: int, shape: Shape) -> int:
        cells = (self._shown(row, number, shape).cell_len for row in self._rows)
        return max((cell_len(self.columns[number].title), *cells))

    def _least(self, number: int, shape: Shape) -> int:
        whole = self._width(number, shape)
        return min(whole, _LEAST) if self.columns[number].prose else whole

    def _shown(self, row: Sequence[Text], number: int, shape: Shape) -> Text:
        day = self._days[number]
        return (
            row[number][len(day) + 1 :]
            if shape.clock_only and day and row[number].plain
            else row[number]
        )

    def head(self, shape: Shape) -> Iterator[Text]:
        """The titles, of columns that stand beneath their row too."""
        widths = {number: self._width(number, shape) for number in shape.beside}
        titles = [
            Text(self.columns[number].title, style="bold") for number in range(len(self.columns))
        ]
        if any(titles[number].plain for number in shape.beside):
            yield self._joined(titles, shape.beside, widths)
        named = [number for number in shape.beneath if titles[number].plain]
        if named:
            below = {number: self._width(number, shape) for number in named}
            yield Text(" " * INDENT) + self._joined(titles, named, below)

    def row(self, row: Sequence[Text], shape: Shape, width: int) -> Iterator[Text]:
        """One row's lines."""
        widths = {number: self._width(number, shape) for number in shape.beside}
        cells = [self._shown(row, number, shape) for number in range(len(row))]
        last = shape.beside[-1]
        if self.columns[last].prose:
            before = sum(widths[number] + GAP for number in shape.beside[:-1])
            first, *more = folded(cells[last], max(1, width - before))
            cells[last] = first
            yield self._joined(cells, shape.beside, widths)
            for line in more:
                yield Text(" " * before) + line
        else:
            yield self._joined(cells, shape.beside, widths)
        short = [number for number in shape.beneath if not self.columns[number].prose]
        if any(cells[number].plain for number in short):
            below = {number: self._width(number, shape) for number in short}
            yield Text(" " * INDENT) + self._joined(cells, short, below)
        for number in shape.beneath:
            if self.columns[number].prose and cells[number].plain:
                for line in folded(cells[number], max(1, width - INDENT)):
                    yield Text(" " * INDENT) + line

    def _joined(
        self, cells: Sequence[Text], numbers: Sequence[int], widths: dict[int, int]
    ) -> Text:
        line = Text()
        for place, number in enumerate(numbers):
            room = " " * max(0, widths[number] - cells[number].cell_len)
            line.append(" " * GAP if place else "")
            line += (
                (Text(room) + cells[number])
                if self.columns[number].right
                else (cells[number] + Text(room))
            )
        line.rstrip()
        return line

    def _caption(self, shape: Shape, width: int) -> Iterator[Text]:
        said: list[str] = []
        if shape.clock_only:
            shown = (*shape.beside, *shape.beneath)
            days = [
                (self.columns[number].title, day) for number, day in enumerate(self._days) if day
            ]
            seen = [
                (title, day)
                for title, day in days
                if title in {self.columns[number].title for number in shown}
            ]
            alike = len({day for _, day in seen}) == 1
            said += [seen[0][1]] if alike else [f"{title} {day}" for title, day in seen]
        said += [
            (f"{self.columns[number].title} {self._rows[0][number].plain}").strip()
            for number in shape.constant
        ]
        words = f"all: {', '.join(said)}" if said else ""
        if shape.lost:
            names = ", ".join(self.columns[number].title for number in sorted(shape.lost))
            words += (
                "; " if words else ""
            ) + f"not shown: {names} (a wider terminal or --json shows all)"
        if words:
            yield from folded(Text(words, style="dim"), width)

    def _blocks(self, width: int) -> Iterator[Text]:
        """Each row as lines of title and value."""
        for place, row in enumerate(self._rows):
            if place:
                yield Text("")
            yield from self.block(row, width)

    def block(self, row: Sequence[Text], width: int) -> Iterator[Text]:
        """One row as lines of title and value."""
        pairs = zip((column.title for column in self.columns), row, strict=True)
        yield from record([(title, cell) for title, cell in pairs if cell.plain], width)


class RowStream:
    """Rows that come one by one, under one head; `typical` is as wide as they will be."""

    def __init__(self, columns: Sequence[Column], typical: Sequence[Cell], width: int) -> None:
        self._table, self._width = Table(columns, [typical]), width
        self._shape = self._table.shape(width)

    def head(self) -> Iterator[Text]:
        """The titles, where there is room for rows."""
        if self._shape is not None:
            yield from self._table.head(self._shape)

    def lines(self, row: Sequence[Cell]) -> Iterator[Text]:
        """One row; a cell wider than is typical pushes what follows it, and the line is folded
        where it must be.
        """
        cells = [_text(cell) for cell in row]
        if self._shape is None:
            yield from self._table.block(cells, self._width)
            return
        for line in self._table.row(cells, self._shape, self._width):
            yield from [line] if line.cell_len <= self._width else folded(line, self._width)


def record(pairs: Sequence[tuple[str, Text]], width: int) -> Iterator[Text]:
    """Facts one beneath the other; long ones folded between words, under themselves."""
    room = max((cell_len(name) for name, _ in pairs), default=0) + GAP
    if room > width // 2:
        room = GAP
    for name, value in pairs:
        lines = folded(value, max(1, width - room))
        if cell_len(name) + GAP > room:
            yield Text(name, style="bold")
            head = Text(" " * room)
        else:
            head = Text(name.ljust(room), style="bold")
        yield head + lines[0]
        for line in lines[1:]:
            yield Text(" " * room) + line


def folded(words: Text, width: int) -> list[Text]:
    """Lines no wider than this: parted between words, a longer word behind its punctuation.

    An id stays whole.
    """
    cuts, used = [], 0
    for start, piece in _pieces(words.plain, width):
        needed = cell_len(piece.rstrip())
        if used and used + needed > width:
            cuts.append(start)
            used = 0
        used += cell_len(piece)
    lines = list(words.divide(cuts)) if cuts else [words.copy()]
    for line in lines:
        line.rstrip()
    return lines


def _pieces(plain: str, width: int) -> Iterator[tuple[int, str]]:
    for word in _WORD.finditer(plain):
        if cell_len(word[0].rstrip()) <= width:
            yield word.start(), word[0]
            continue
        for part in _JOINT.finditer(word[0]):
            yield word.start() + part.start(), part[0]


def _without(shape: Shape, numbers: Sequence[int]) -> Shape:
    left = tuple(number for number in shape.beside if number not in numbers)
    return replace(shape, beside=left, lost=tuple(numbers))


def _text(cell: Cell) -> Text:
    if isinstance(cell, datetime):
        return Text(cell.astimezone().strftime(f"{DAY} {CLOCK}"))
    return Text.from_markup(cell or "")


def _day(cells: Iterable[Cell]) -> str:
    """The day that all moments of a column share, else nothing."""
    moments = [cell for cell in cells if cell is not None and cell != ""]
    days = {
        cell.astimezone().strftime(DAY) if isinstance(cell, datetime) else "" for cell in moments
    }
    return days.pop() if len(days) == 1 else ""
