"""How one call of `parse` was asked to read, and what depends on it: hashed customer, time of the
event.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from sinal_hub import identity
from sinal_hub.gateways import _time
from sinal_hub.gateways._body import Node
from sinal_hub.model.sale import Customer

# digits from which a number has its country's code in it; area code 55 is another
_WITH_COUNTRY = {"55": 12}
_FOREIGN_WITH_COUNTRY = 11
_COUNTRY_CODES = (
    "ddi", "phone_ddi", "phone_extension", "phone_country_code", "phoneCountryCode",
)  # fmt: skip
_NO_DIGIT = re.compile(r"\D+")
_LOCAL_PHONE = 9  # digits of a Brazilian subscriber; more of them include the area code


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The tenant's country, whether a person asked for clear text, and the time of receipt (Unix s;
    None: now).
    """

    country: str
    clear: bool
    now: float | None

    def customer(self, user: identity.ClearUser) -> Customer:
        """The buyer hashed.

        The clear text goes no further than this call unless a person asked for it.
        """
        data = identity.hash_user(user, country=self.country)
        lists = {name: getattr(data, name) for name in data.__struct_fields__}
        if self.clear:
            return Customer(**lists, clear=identity.normalise_user(user, country=self.country))
        return Customer(**lists)

    def occurred(self, moment: datetime | None) -> str:
        """The moment of the event; a delivery that names none happened when it was received."""
        if moment is None:
            moment = datetime.fromtimestamp(time.time() if self.now is None else self.now, UTC)
        return _time.rfc3339(moment)


def phones(*numbers: str | None) -> tuple[str, ...]:
    """The numbers that are there."""
    return tuple(number for number in numbers if number)


def with_area(area: str | None, number: str | None) -> str | None:
    """A number with its area code, which gateways send apart and sometimes in the number as
    well.
    """
    if number is None or area is None or len(_NO_DIGIT.sub("", number)) > _LOCAL_PHONE:
        return number
    return f"{area}{number}"


def country_code(node: Node) -> str | None:
    """The country code of a phone, where a person's fields have one of their own."""
    return next(
        (code for name in _COUNTRY_CODES if name in node and (code := node.text(name)) is not None),
        None,
    )


def with_country(code: str | None, number: str | None) -> str | None:
    """A number behind the country code that a gateway sends apart.

    A number that has it already is told with a plus.
    """
    if code is None or number is None or number.lstrip().startswith("+"):
        return number
    country, digits = (_NO_DIGIT.sub("", text).lstrip("0") for text in (code, number))
    if not country or not digits:
        return number
    whole = digits.startswith(country) and len(digits) >= _WITH_COUNTRY.get(
        country, _FOREIGN_WITH_COUNTRY
    )
    return f"+{digits}" if whole else f"+{country}{digits}"
