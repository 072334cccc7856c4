"""What an answer of Meta's means, and what of it is kept, does not depend on what the access token
happens to be.
"""

from __future__ import annotations

import json
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sinal_core.telemetry.masking import PLACE, without_secret
from sinal_hub.meta.errors import classify

ANSWERS = (
    (200, {"events_received": 1, "fbtrace_id": "AbC"}),
    (
        400,
        {
            "error": {
                "code": 190,
                "error_subcode": 463,
                "message": "Error validating access token",
                "type": "x",
            }
        },
    ),
    (
        400,
        {
            "error": {
                "code": 100,
                "error_subcode": 2804019,
                "is_transient": False,
                "message": "data[1]",
            }
        },
    ),
    (500, {"error": {"code": 1, "is_transient": True}}),
)
WORDS = (
    "error",
    "code",
    "1",
    '"',
    "{",
    "events_received",
    "190",
    "true",
    "is_transient",
    ":",
    "\\",
    "token",
    PLACE,
)


@pytest.mark.parametrize(("status", "answer"), ANSWERS)
@pytest.mark.parametrize("token", WORDS)
def test_a_token_that_stands_in_every_answer_changes_no_verdict(
    status: int, answer: dict[str, object], token: str
) -> None:
    body = json.dumps(answer).encode()
    plain = classify(status, body, sent=1)
    assert (
        msgspec.structs.replace(classify(status, body, sent=1, secret=token), answer=plain.answer)
        == plain
    )


@given(token=st.text(min_size=6, max_size=60), before=st.text(max_size=20))
@example(token="EAAB/with/slashes", before="")
@example(token='quo"ted\\back', before="")
@example(token="açaí-çedilha", before="")
@example(token="\U0001f600 beyond", before="")
def test_no_spelling_of_it_is_kept(token: str, before: str) -> None:
    text = json.dumps({"error": {"message": before + token}})
    spellings = [
        text,
        json.dumps({"m": before + token}, ensure_ascii=False),
        text.replace("/", "\\/"),
        "https://graph.example/?access_token=" + quote(token, safe=""),
    ]
    for spelling in spellings:
        kept = without_secret(spelling, token, limit=10_000)
        assert PLACE in kept
        assert token not in kept.replace(PLACE, "")


def test_no_part_of_it_is_left_where_the_text_is_cut() -> None:
    token = "EAAB" + "x" * 200
    for cut in range(1, 400):
        assert "EAABx" not in without_secret("m" * 50 + token + "n" * 500, token, limit=cut)
