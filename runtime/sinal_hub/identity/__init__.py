"""Who a person is to Meta: normalisation and hashing of customer data, fbc and fbp.

It keeps no clear text.

The rules follow Meta's customer information page; where the page and Meta's libraries differ,
`docs/users/identity.md` says which was taken and why.
"""

from __future__ import annotations

from sinal_hub.identity.click import (
    Fbc,
    Fbp,
    build_fbc,
    fbclid_of_fbc,
    fbclid_of_url,
    is_fbc,
    is_fbp,
    new_fbp,
    usable_fbc,
    utm_of_url,
)
from sinal_hub.identity.fields import FIELDS, UnknownField, digest, hashed, normalise
from sinal_hub.identity.links import UTM_FIELDS, ad_of, fbclid_of_value, is_whole, utm_of_value
from sinal_hub.identity.users import ClearUser, hash_user, normalise_user

__all__ = [
    "FIELDS",
    "UTM_FIELDS",
    "ClearUser",
    "Fbc",
    "Fbp",
    "UnknownField",
    "ad_of",
    "build_fbc",
    "digest",
    "fbclid_of_fbc",
    "fbclid_of_url",
    "fbclid_of_value",
    "hash_user",
    "hashed",
    "is_fbc",
    "is_fbp",
    "is_whole",
    "new_fbp",
    "normalise",
    "normalise_user",
    "usable_fbc",
    "utm_of_url",
    "utm_of_value",
]
