"""The page's own word in a tracking slot does not hide the id that the page script put into the
next one.
"""

from __future__ import annotations

import pytest

from sinal_hub.gateways import _tracking
from sinal_hub.gateways._body import Node

OURS = "q0zJ3n8KxWvT5yB1mR7cUd"
KIWIFY = ("sck", "src", "s1", "s2", "s3")


@pytest.mark.parametrize(
    ("slots", "found"),
    [
        ({"sck": OURS}, OURS),
        ({"sck": "ADS-FB", "s1": OURS}, OURS),
        ({"sck": "ADS-FB|VSL", "src": "facebook", "s3": OURS}, OURS),
        ({"sck": "a-shops-own-id", "src": "facebook"}, "a-shops-own-id"),
        ({"sck": "não é id"}, None),
    ],
)
def test_an_id_of_the_scripts_form_is_preferred(slots: dict[str, str], found: str | None) -> None:
    tracking = _tracking.read([Node(slots)], trust=KIWIFY)
    assert tracking.click_id == found
    assert tracking.sck == slots.get("sck"), "the slots stay readable as they were"
