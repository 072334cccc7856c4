"""Hosts that are the platform's own: no Tenant may have them, or it would be asked for everybody's
events.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

DEFAULT_SERVICE = "sinal-ingest"


@dataclass(frozen=True)
class ReservedHosts:
    """Names of the shared listener: where gateways reach it, its Service's names, and what an
    operator adds.
    """

    names: frozenset[str] = frozenset()
    service: str = DEFAULT_SERVICE

    @classmethod
    def of(
        cls, public_url: str, *, service: str = DEFAULT_SERVICE, others: Iterable[str] = ()
    ) -> ReservedHosts:
        """The host of `public_url` and the `others`, which may be names or URLs.

        Ports do not matter.
        """
        found = {_name(text) for text in (public_url, *others)}
        return cls(frozenset(found - {""}), service)

    def __contains__(self, host: str) -> bool:
        name = _name(host)
        return name in self.names or _of_cluster(name, self.service) or _is_address(name)


NOTHING_RESERVED = ReservedHosts()


def _name(text: str) -> str:
    try:
        return (urlsplit(text if "://" in text else f"//{text}").hostname or "").rstrip(".")
    except ValueError:  # brackets that hold no address
        return ""


def _is_address(name: str) -> bool:
    """Whether it is an IPv4 address or this machine, and no name of the DNS: the listener answers
    to it as well.
    """
    # No top-level domain is a number: a last label of digits is read as a part of an IPv4 address.
    return name == "localhost" or name.rpartition(".")[2].isdecimal()


def _of_cluster(name: str, service: str) -> bool:
    """`sinal-ingest`, `sinal-ingest.sinal`, and every name that the cluster's DNS gives to
    Services.
    """
    labels = name.split(".")
    return (labels[0] == service and len(labels) <= 2) or re.search(
        r"\.svc(\.|$)", name
    ) is not None
