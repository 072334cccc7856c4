"""Rows reach PostgreSQL as they are, whatever their texts hold: quotes, backslashes, control
characters, braces.
"""

from __future__ import annotations

import asyncio
import string
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinal_core.postgres.columns import array, columns

# PostgreSQL's text takes neither NUL nor halves of surrogate pairs.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.text(
    string.punctuation + "\n\x1e"
)


class Inner(msgspec.Struct, frozen=True, omit_defaults=True):
    """A document with a type."""

    text: str = ""


class Whole(msgspec.Struct, frozen=True):
    """A row with one of each kind of column."""

    text: str | None
    words: list[str]
    document: Inner
    raw: msgspec.Raw


def ask(url: str, statement: str, values: dict[str, str]) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement.encode(), values).fetchall()


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(
    st.lists(
        st.none() | TEXTS | st.sampled_from(["null", "NULL", "", "{}", '"', "\\", "a,b"]),
        min_size=1,
    )
)
def test_an_array_of_texts_comes_back_as_it_was(postgres: str, texts: Sequence[str | None]) -> None:
    assert ask(postgres, "select %(texts)s::text[]", {"texts": array(texts)}) == [(list(texts),)]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(st.lists(st.tuples(st.none() | TEXTS, st.lists(TEXTS), TEXTS), min_size=1))
def test_lists_and_documents_of_rows_come_back_as_they_were(
    postgres: str, cells: Sequence[tuple[str | None, list[str], str]]
) -> None:
    rows = [
        Whole(text, words, Inner(inside), msgspec.Raw(msgspec.json.encode({"text": inside})))
        for text, words, inside in cells
    ]
    statement = r"""
        select r.text, r.words::text[], r.document ->> 'text', r.raw ->> 'text' from unnest(
            %(text)s::text[], %(words)s::text[], string_to_array(%(document)s, E'\x1E')::jsonb[],
            string_to_array(%(raw)s, E'\x1E')::jsonb[]) as r (text, words, document, raw)"""
    found = ask(postgres, statement, columns(rows))
    assert found == [(text, words, inside or None, inside) for text, words, inside in cells]


async def test_numbers_truths_and_times_are_read_as_what_they_are(postgres: str) -> None:
    at = datetime(2026, 11, 29, 1, 2, 3, 456_000, tzinfo=UTC)
    values = {
        "ints": array([1, None, -(2**40)]),
        "truths": array([True, None, False]),
        "times": array([at, None]),
        "amounts": array([Decimal("297.10"), None]),
        "scores": array([0.25, 1e-9]),
    }
    statement = """select %(ints)s::bigint[], %(truths)s::boolean[], %(times)s::timestamptz[], %(amounts)s::numeric[],
        %(scores)s::float8[]"""
    [found] = await asyncio.to_thread(ask, postgres, statement, values)
    assert found == (
        [1, None, -(2**40)],
        [True, None, False],
        [at, None],
        [Decimal("297.10"), None],
        [0.25, 1e-9],
    )


def test_plain_values_are_the_column_item(postgres: str) -> None:
    assert ask(postgres, "select %(item)s::text[]", columns(["a", 'b"c'])) == [(["a", 'b"c'],)]
    assert ask(postgres, "select %(item)s::bigint[]", columns([3, 4])) == [([3, 4],)]
