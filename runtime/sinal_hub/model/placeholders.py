"""What programs, forms and people write for nothing: one table for every door, every gateway and
every field.

`undefined` as an id joins strangers, and hashed as a name it is somebody else's. So a placeholder
that fills a whole field is nothing, as blank is. What it means depends on the field: `guest` is not
an id and may be a surname, `teste` is not a name and may be a campaign. `docs/users/identity.md`
lists it all.

Sources: the ids that PostHog takes for no person (github.com/PostHog/posthog,
`illegal_distinct_ids`), the macros of Meta, Google, TikTok and Mailchimp, test buttons of Brazilian
checkouts.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache

REMEMBERED_LENGTH = 64  # characters of a value; a longer one is looked at each time
LONGEST_WORD = 20  # characters of a word for no id; what is longer can only be a row or a macro
# digits that were counted and not typed from memory; a postal code and a line have fewer
COUNTED = 10
LONG_ROW = 8  # digits: a shorter row of one digit may be somebody's number
_JOINTS = "-_.:/ "
_BETWEEN = re.compile(r"[-_.:/|,;=?&#\s]+")
_FILLED_IN = frozenset({"undefined", "null", "nan"})  # what templates write between other words

# Words of programs: no field of any kind means something with them.
_OF_PROGRAMS = r"""
undefined null none nan void (null) (none) (undefined) n/a n\a n.a. n.a #n/a #ref! #value! #name? <null> <nil> \n
null,null undefined,undefined
"""
_PROGRAM = frozenset(_OF_PROGRAMS.split())
_PROGRAM_LETTERS = tuple(word for word in sorted(_PROGRAM) if word.isalpha())

# As ids they would join all who have none.
_INSTEAD_OF_IDS = """
na nil nulo nula true false anonymous anonimo anon guest visitor visitante convidado unknown desconhecido indefinido
id userid externalid distinctid clickid sessionid customerid orderid fbclid fbc fbp email notauthenticated test teste
testing testes example exemplo placeholder string notset notprovided empty vazio default naoinformado user usuario
cliente customer anonymoususer object redacted hidden unset
"""
_NO_ID = frozenset(_INSTEAD_OF_IDS.split())

# As names and places they are nobody's; without accents, blanks and punctuation.
_INSTEAD_OF_NAMES = """
nulo nula true false anonymous anonimo anonima unknown desconhecido desconhecida indefinido notset notprovided
test teste testing testes testeteste testtest testuser usertest usuarioteste testeusuario clienteteste testecliente
compradorteste testecomprador nometeste testenome testname nome sobrenome nomecompleto nomesobrenome firstname lastname
fullname name fulano fulanodetal beltrano ciclano sicrano naoinformado naoinformada naoinformou naopreenchido
naopreenchida naodisponivel naoidentificado naoidentificada naocadastrado naoseaplica naotem naopossui semnome
semsobrenome seminformacao semcadastro semdados semcidade semestado sememail semtelefone nenhum nenhuma vazio empty
placeholder string asdf asdfasdf asdfgh qwerty qwertyuiop consumidor consumidorfinal clientenaoidentificado visitante
convidado guestuser primeironome ultimonome seunome seusobrenome testando
"""
_NOBODY = frozenset(_INSTEAD_OF_NAMES.split())

# Before the @ of an address; `comprador.teste@` is somebody.
_INSTEAD_OF_MAILBOXES = """
null undefined none nan na nil void nulo noemail nomail noone nobody notanemail invalid invalido semmail sememail
semnome naotem naotenho naopossui naotememail naopossuiemail naotenhoemail naoinformado naoinformada naoinformou
naopreenchido emailnaoinformado naoseaplica desconhecido anonimo anonymous test teste testing testes testeteste testtest
emailteste testeemail testemail emailtest noreply donotreply naoresponda naoresponder example exemplo email user usuario
guest seuemail youremail fulano fulanodetal asdf asdfasdf asdfgh qwerty placeholder
"""
_NO_MAILBOX = frozenset(_INSTEAD_OF_MAILBOXES.split())
_TEST_DOMAIN = re.compile(
    r"tests?|testes?|noemail|nomail|sememail|naotem|naotenho|xxx+|null|undefined"
)
_NUMBERED = re.compile(r"teste?s?\d{1,6}")

_NO_CAMPAIGN = frozenset(
    {"notset", "notprovided", "(direct)", "(none)", "(notset)", "(notprovided)", "(other)", "{}"}
)

# What a program should have filled in: {{ad.name}}, %%email%%, ${id}, [[name]], *|EMAIL|*, <%= id
# %>, __AD__, {id}. A GUID in braces is one that a program did fill in. Bounded, and no part may
# hold its own beginning: a value of nothing but `{{` would be gone through from each of them.
_MACRO = re.compile(
    r"\{\{[^{}]{0,100}\}\}|%7b%7b(?:[^%]|%(?!7[bd])){0,100}%7d%7d|%%[^%]{1,80}%%|[$#@]\{[^{}]{0,80}\}"
    r"|\[\[[^\[\]]{0,80}\]\]|\*\|[^|]{1,80}\|\*|<%[^<>]{0,100}%>"
    r"|__[a-z][a-z0-9]*(?:_[a-z0-9]+)*__|\{[$_a-z][_a-z. :]{0,60}\}|\[object "
    r"\w+\]|##[a-z][\w.]{0,60}##",
    re.IGNORECASE,
)
_NOT_BARE = re.compile(r"[^a-z0-9]+")
_SIGN_OF_MACRO = re.compile(r"[{%$*<\[#]")  # or two underscores

_COUNTING = ("01234567890123456789", "123456789101112", "98765432109876543210", "987654321000")

# SHA-256 of nothing, which senders that hash by themselves send.
_HASHED = (
    "",
    " ",
    "0",
    "[object object]",
    "n/a",
    "nan",
    "nil",
    "none",
    "null",
    "undefined",
    "false",
    "true",
)
_DIGESTS = frozenset(hashlib.sha256(word.encode()).hexdigest() for word in _HASHED)


def is_no_id(text: str) -> bool:
    """Whether an id (external, click, session, order, Meta's) is a placeholder: whoever has none
    has the same.
    """
    if len(text) <= LONGEST_WORD:
        return _no_id(text)
    if text[0] in "0fF" and not text.strip(text[0] + _JOINTS):  # UUIDs of one digit
        return True
    return not text.isalnum() and (
        _has_macro(text) or _made_of_nothing(_plain(text[:REMEMBERED_LENGTH]))
    )


def is_no_key(text: str) -> bool:
    """Whether an event's own id is a program's word or a macro.

    Numbers count on, and may begin at nought.
    """
    return _no_key(text) if len(text) <= LONGEST_WORD else not text.isalnum() and _has_macro(text)


def is_nobody(text: str) -> bool:
    """Whether a name or a place is a placeholder.

    A real `Null` or `Teste` loses one field for it.
    """
    if len(text) > REMEMBERED_LENGTH:
        return _has_macro(text)
    bare = text.replace(" ", "")
    if not (bare.isascii() and bare.isalpha()):
        return _nobody(text)
    bare = bare.lower()  # words of plain letters, as nearly always
    if bare in _NOBODY or (bare[0] == bare[-1] and len(bare) > 1 and _is_row(bare)):
        return True
    return bare.startswith(_PROGRAM_LETTERS) and _said_by_program(text.lower())


def is_no_campaign(text: str) -> bool:
    """Whether a campaign parameter says nothing: macros that nobody replaced, words of programs and
    of reports.
    """
    return _no_campaign(text) if len(text) <= REMEMBERED_LENGTH else _is_macros(text)


def is_no_mailbox(address: str) -> bool:
    """Whether a lower-case e-mail address is written where there is none: `teste@…`, `noemail@…`,
    `x@teste.com`.
    """
    local, _, domain = address.rpartition("@")
    bare = _folded(local.partition("+")[0])
    first = _folded(domain.partition(".")[0])
    return (
        bare in _NO_MAILBOX
        or _NUMBERED.fullmatch(bare) is not None
        or (2 < len(bare) <= 2 * LONG_ROW and _is_row(bare))  # "jj@" may be anybody
        or _TEST_DOMAIN.fullmatch(first) is not None
        or (bare == first and len(bare) == 1)
        or _has_macro(address)
    )


def is_no_line(digits: str, *, line: int) -> bool:
    """Whether the last `line` digits of a phone number are one row: `11 99999-9999`.

    Zeros are none in `11 90000-0000`, the number of examples: its line begins with a nine.
    """
    last = digits[-line:]
    return len(set(last)) == 1 and (last[0] != "0" or digits[-line - 1 : -line] in ("", "0"))


def is_counted(digits: str) -> bool:
    """Whether a phone's digits are those of the keyboard in their order: `12345678901`, which is a
    number of Ohio.
    """
    return len(digits) >= COUNTED and any(digits in row for row in _COUNTING)


def is_no_code(digits: str) -> bool:
    """Whether a postal code, a document or an `fbp`'s number is one row: of zeros, or of eight
    digits and more.
    """
    return _is_row(digits)


def is_no_digest(digest: str) -> bool:
    """Whether a lower-case SHA-256 that came ready-made is that of nothing: of an empty text or a
    program's word.
    """
    return digest in _DIGESTS or _is_row(digest)


def id_or_none(text: str | None) -> str | None:
    """An id, unless it is a placeholder."""
    return None if text is None or is_no_id(text) else text


def campaign_or_none(text: str | None) -> str | None:
    """A campaign parameter, unless it is a placeholder."""
    return None if text is None or is_no_campaign(text) else text


def without_program_words(name: str) -> str:
    """A name without the words that a template left beside it: `Maria undefined` is Maria."""
    if "undefined" not in name and "null" not in name:
        return name
    return " ".join(word for word in name.split(" ") if word not in ("undefined", "null"))


def _plain(text: str) -> str:
    """Lower case without quotes and blanks around it."""
    return text.strip(" \t\r\n\"'`").lower()


def _folded(text: str) -> str:
    """Lower-case letters and digits alone, without accents."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
    return _NOT_BARE.sub("", text.lower())


def _said_by_program(plain: str) -> bool:
    """Whether all words of it are a program's: `null`, `undefined undefined`.

    Also where there is no word.
    """
    return plain in _PROGRAM or all(word in _PROGRAM for word in plain.split())


def _made_of_nothing(plain: str) -> bool:
    """Whether an id was put together with a value that was not there: `user_undefined`,
    `null-null`.

    With a digit beside the word it may tell one from another all the same: `null-7`.
    """
    if "undefined" not in plain and "null" not in plain and "nan" not in plain:  # nearly always
        return False
    parts = _BETWEEN.split(plain)
    return not _FILLED_IN.isdisjoint(parts) and not any(char.isdigit() for char in plain)


def _is_row(bare: str) -> bool:
    """One character over and over: zeros and x at any length, letters from three, digits from eight
    on.
    """
    if bare.strip(bare[0]):
        return False
    return bare[0] in "0x" or len(bare) >= LONG_ROW or (bare[0].isalpha() and len(bare) > 2)


@lru_cache(maxsize=4_096)
def _no_key(text: str) -> bool:
    plain = _plain(text)
    return _said_by_program(plain) or _has_macro(plain)


@lru_cache(maxsize=4_096)
def _no_id(text: str) -> bool:
    plain = _plain(text)
    if plain.isascii() and plain.isalnum():  # nearly always
        return plain in _NO_ID or plain in _PROGRAM or _is_row(plain)
    if _said_by_program(plain) or _has_macro(plain) or _made_of_nothing(plain):
        return True
    bare = "".join(char for char in plain if char.isalnum())
    return not bare or _is_row(bare) or _folded(bare) in _NO_ID or plain == "-1"


def _nobody(text: str) -> bool:
    plain = _plain(text)
    if _said_by_program(plain) or _has_macro(plain):
        return True
    if not plain.isascii() and any(
        not char.isascii() and char.isalpha() and not _folded(char) for char in plain
    ):
        return False  # a script that has no such words
    bare = _folded(plain)
    if not bare:
        return True
    once, again = bare[: len(bare) // 2], bare[len(bare) // 2 :]
    # "Não Informado Não Informado", of two fields
    if bare in _NOBODY or (once == again and once in _NOBODY):
        return True
    return _NUMBERED.fullmatch(bare) is not None or bare == "0" or (len(bare) > 1 and _is_row(bare))


@lru_cache(maxsize=4_096)
def _no_campaign(text: str) -> bool:
    plain = _plain(text)
    if _said_by_program(plain) or _is_macros(plain):
        return True
    return plain.replace(" ", "") in _NO_CAMPAIGN or not plain.strip("0-_.")


def _has_macro(text: str) -> bool:
    if "__" not in text and _SIGN_OF_MACRO.search(text) is None:
        return False
    return _MACRO.search(text) is not None


def _is_macros(text: str) -> bool:
    """Whether nothing but separators remains beside macros: `{{campaign.name}}|{{campaign.id}}`."""
    if not _has_macro(text):
        return False
    return not any(char.isalnum() for char in _MACRO.sub("", text))
