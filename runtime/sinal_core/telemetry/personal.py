"""Which names and values tell of a person: one table for stored URLs, for URLs on the way to Meta
and for logs.

Landing and checkout pages are often opened with `?email=…&phone=…`. A parameter is personal by its
name or by its value; campaign parameters and click ids are not, whatever they are called. Names are
compared without case, in snake_case, kebab-case, camelCase and run together, with the prefixes and
brackets that form builders add.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote_plus

REMEMBERED_LENGTH = 64  # characters of a name; a longer one is looked at each time

# Words that tell of a person wherever they are the last word of a name.
CONTACT_WORDS = (
    r"e-?mails?|mail|phones?|telefones?|celular(?:es)?|cel|tel|fone|whats(?:app)?|zap|mobile|cpf|cnpj|rg|documento?s?|doc|"
    r"zip|zip[_-]?code|cep|postal[_-]?code|address|endereco|endere\u00e7o|street|rua|logradouro|bairro|complemento|"
    r"birth(?:day|date)?|dob|nascimento"
)
SECRET_WORDS = r"password|passwd|pwd|senha|secret|token|access[_-]?token|api[_-]?key"  # noqa: S105 - names, no secret
NAME_WORDS = (
    r"sobrenome|surname|full|full[_-]?name|nome[_-]?completo|"
    r"(?:(?:first|last|middle|primeiro|ultimo|user|buyer|customer|client|cliente|comprador|aluno|lead|payer|holder)[_-]?)?"
    r"(?:name|nome)"
)
_SUFFIX = r"(?:[_-]?(?:number|numero|n\u00famero|completo|complete|ac|ddd|confirm(?:ation)?|\d))*"
_PERSONAL = re.compile(
    rf"(?:.*[_\-.\[\s])?(?:user|buyer|customer|client|cliente|comprador|lead|payer)?"
    rf"(?:{CONTACT_WORDS}|{SECRET_WORDS}|{NAME_WORDS}){_SUFFIX}\]*",
    re.IGNORECASE,
)
# Names of things, which end like names of people: `campaign_name`, `ad_name`, `product_name`.
_THING = re.compile(
    r"(?:.*[_\-.\[\s])?(?:campaign|ad|ads|adset|adgroup|creative|placement|site|source|product|produto|plan|plano|offer|"
    r"oferta|page|event|file|host|domain|funnel|utm)[_-]?(?:name|nome)\]*",
    re.IGNORECASE,
)
_CAMPAIGN = re.compile(
    r"utm_(?:source|medium|campaign|content|term|id)\w*|[a-z_]*clid|campaign\w*", re.IGNORECASE
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_EMAIL = re.compile(r"[^\s@/]@[^\s@/]+\.\w{2,}")
_NUMBER = re.compile(
    r"\d{3}\.\d{3}\.\d{3}-\d{2}"  # CPF as printed
    r"|\+?55\s?\(?\d{2}\)?\s?9?\d{4}[-\s]?\d{4}$"  # Brazilian phone with country code
    r"|\(\d{2}\)\s?9?\d{4}-?\d{4}"  # the same without
)
# what every one of them has, cheaper to look for
_MAY_BE_NUMBER = re.compile(r"\d{3}(?:\d[-\s]?\d{4}|\.\d{3})")
_SHORTEST_NUMBER = 12  # characters: area and line behind 55, or the area in brackets


def is_personal(name: str, value: str) -> bool:
    """Whether a parameter tells of a person, by its name or its value; both decoded."""
    return tells(value) or (
        _remembered(name) if len(name) <= REMEMBERED_LENGTH else _names_person(name)
    )


def is_personal_pair(part: str) -> bool:
    """Whether `name=value`, as a query string has it, tells of a person."""
    name, _, value = part.partition("=")
    if "%" not in part and "+" not in part:
        return is_personal(name, value)
    if "%" in name or "+" in name:
        name = unquote_plus(name)
    value = unquote_plus(value)
    if "%" in value or "+" in value:  # redirectors encode a whole query string into one parameter
        value = unquote_plus(value)
    return is_personal(name.strip(), value)


def tells(value: str) -> bool:
    """Whether a value is an e-mail address, a CPF or a phone number, or holds one."""
    if "@" in value and _EMAIL.search(value):
        return True
    if len(value) < _SHORTEST_NUMBER or _MAY_BE_NUMBER.search(value) is None:
        return False
    return _NUMBER.search(value) is not None


def without_person(path: str) -> str:
    """A URL's path without the segments that tell of a person."""
    if (
        "%" in path
        or "@" in path
        or (len(path) >= _SHORTEST_NUMBER and _MAY_BE_NUMBER.search(path))
    ):
        return "/".join(segment for segment in path.split("/") if not tells(unquote_plus(segment)))
    return path


def _names_person(name: str) -> bool:
    if _CAMPAIGN.fullmatch(name):
        return False
    words = _HUMP.sub("_", name)
    return _PERSONAL.fullmatch(words) is not None and _THING.fullmatch(words) is None


# pages have few parameters, and the same ones
_remembered = lru_cache(maxsize=4_096)(_names_person)
