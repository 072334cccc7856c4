"""Why one event is refused: Meta's subcodes of the Conversions API under code 100.

None of them is in Meta's public documentation; they are collected from issues, tests and probe
logs. A refusal names its field relative to the event; the request's error says which event of the
batch it was.
"""

from __future__ import annotations

from typing import Final

from sinal_sandbox.errors import GraphError

BAD_FBC: Final = 2804001
TOO_OLD: Final = 2804003
IN_FUTURE: Final = 2804004
CONTENT_WITHOUT_ID: Final = 2804008
PURCHASE_WITHOUT_VALUE: Final = 2804009
PURCHASE_WITHOUT_CURRENCY: Final = 2804010
PARAMETER: Final = 2804019
VALUE_WITHOUT_CURRENCY: Final = 2804023
BAD_LEAD_ID: Final = 2804036
BAD_EXTINFO: Final = 2804043
TOO_LITTLE_CUSTOMER_DATA: Final = 2804050
NO_MESSAGING_CHANNEL: Final = 2804063
WEB_FIELD_IN_MESSAGING: Final = 2804064
EVENT_NOT_FOR_MESSAGING: Final = 2804066
NO_PAGE: Final = 2804069
NO_INSTAGRAM_ACCOUNT: Final = 2804079
BAD_CTWA_CLID: Final = 2804087
NO_WHATSAPP_ACCOUNT: Final = 2804116

_TITLES: dict[int, str] = {
    BAD_FBC: "Click ID Incorrectly Formatted",
    TOO_OLD: "Event Timestamp Too Old",
    IN_FUTURE: "Event Timestamp In The Future",
    CONTENT_WITHOUT_ID: "Missing Content ID",
    PURCHASE_WITHOUT_VALUE: "Missing Value For Purchase Event",
    PURCHASE_WITHOUT_CURRENCY: "Missing Currency For Purchase Event",
    PARAMETER: "Server Side API Parameter Error",
    VALUE_WITHOUT_CURRENCY: "Missing Currency For Value",
    BAD_LEAD_ID: "Invalid Lead ID",
    BAD_EXTINFO: "Invalid Extended Device Information",
    TOO_LITTLE_CUSTOMER_DATA: "Insufficient Customer Information",
    NO_MESSAGING_CHANNEL: "Missing Messaging Channel",
    WEB_FIELD_IN_MESSAGING: "Click ID Not Valid For Messaging Events",
    EVENT_NOT_FOR_MESSAGING: "Event Name Not Allowed For Messaging Events",
    NO_PAGE: "Missing Page ID",
    NO_INSTAGRAM_ACCOUNT: "Missing Instagram Account ID",
    BAD_CTWA_CLID: "Invalid Click-to-WhatsApp Click ID",
    NO_WHATSAPP_ACCOUNT: "Missing WhatsApp Business Account ID",
}


class EventRefusal(Exception):
    """One event is not acceptable.

    `field` is its JSON path inside the event, empty for the event as a whole.
    """

    def __init__(self, field: str, detail: str, *, subcode: int = PARAMETER) -> None:
        super().__init__(detail)
        self.field = field
        self.detail = detail
        self.subcode = subcode

    def as_error(self, index: int) -> GraphError:
        """The error of the whole request, whose event number `index` is the bad one."""
        path = f"data[{index}].{self.field}" if self.field else f"data[{index}]"
        return GraphError(
            "Invalid parameter",
            code=100,
            subcode=self.subcode,
            title=_TITLES[self.subcode],
            user_message=f"{path}: {self.detail}",
            blame=("data", str(index), *self.field.split("."))
            if self.field
            else ("data", str(index)),
        )
