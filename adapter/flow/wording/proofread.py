"""The linter of templates: what a facility's words may not say, and what they must. Pure.

Whoever sees a phone may read a message, and links in messages are what thieves imitate. So words name no person,
service, provider or date, no amount that the practice did not allow, and lead nowhere but to the one link.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.facility import Facility
from chartpost.adapter.flow.wording import compose as wording
from chartpost.adapter.flow.wording.segments import Size, beyond_gsm, measure
from chartpost.adapter.flow.wording.template import CHANNELS, FIELDS, LANGUAGES, PURPOSES, Catalogue, Template, look

#: Segments of one SMS: more are dear, and look like spam.
MOST = 3
#: What stands for the link where the facility's own address is not known.
BASE = "https://pay.example.org"
TOKEN = "0_5g-LAqAUHb4NMJhEWpiQ"  # noqa: S105  (invented, as long as a real one)
CODE, AMOUNT = "0123-4567", "$12,345.67"
#: Words without accents, by what they may give away; `*` stands for any ending.
_TELLING = {
    "a person": "patient* pacient* client cliente guarantor garante birth* nacimiento dob ssn mrn dear estimad* querid*"
    " mr mrs ms senor senora daughter hijo hija child children nino nina spouse esposo esposa",
    "a service": "service servicio* treat treated treatment* tratamiento* diagnos* surger* surgical cirug* visit visita"
    " appointment* cita consulta consultation* exam examen lab laborator* test prueba xray radiolog* procedure*"
    " procedimiento* therap* terapi* prescri* receta medic* vaccin* vacuna* pregnan* embaraz* cancer* oncolog* hiv vih"
    " psych* psiqu* mental dental dentist* addict* adiccion rehab* hospital* emergency urgencia* health salud copay"
    " copago",
    "a provider": "provider* proveedor* doctor* dr dra nurse* enfermer* physician* therapist* surgeon* cirujan*"
    " specialist* especialista*",
    "a date": "january february april june july august september october november december enero febrero marzo abril"
    " mayo junio julio agosto septiembre octubre noviembre diciembre monday tuesday wednesday thursday friday saturday"
    " sunday lunes martes miercoles jueves viernes sabado domingo yesterday ayer date fecha",
    "an amount": "dollar* dolar* usd euro* peso mxn cent centavo* pound* amount monto importe cantidad",
}  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+(?:[-_.'·*][^\W\d_]+)*")
_PATTERNS = {
    what: re.compile("|".join(f"{word[:-1]}.*" if word[-1] == "*" else f"{word}s?" for word in words.split()))
    for what, words in _TELLING.items()
}
#: What leads or writes elsewhere: https://…, www.…, bit.ly/…, name@example.org.
_ADDRESS = re.compile(r"\S*(?:://|@)\S*|\bwww\.\S*|\b[^\W_][\w-]*\.[^\W\d_]{2,}\S*", re.IGNORECASE)
_NUMBER = re.compile(r"\S*\d\S*")
#: How long a code is good: the one number that words may have.
_MINUTES = re.compile(r"\b10 min(?:utes|utos)\b")
_LIKE_FIELD = re.compile(r"[{}<>\[\]%#]\S*")
Found = tuple[int, str]  #: line, and what is wrong; what to do


def proofread(template: Template, facility: Facility, base: str = BASE) -> list[Found]:
    """Return all that is wrong with a template for this facility; `base` is the address that its links begin with."""
    found = [*_fields(template, facility), *_letters(template), *_literal(template, facility)]
    if not found:
        found += _length(template, facility, base)
    return sorted(dict.fromkeys(found))


def check(facility: Facility, words: Catalogue, base: str = BASE) -> list[str]:
    """Return what is wrong with the words that a facility uses, each "file:line: what; what to do"."""
    lines: list[str] = []
    for purpose, channel, language in product(PURPOSES, CHANNELS, facility.languages):
        template = words.get((purpose, channel, language))
        if template is not None:
            lines += [f"{template.where}:{line}: {text}" for line, text in proofread(template, facility, base)]
    return lines


def configured(part: Mapping[str, Any], base: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the words of a facility as its part of the configuration has them: key, and what.

    What is wrong with the part itself is somebody else's to tell. `base`: "" where no address is configured.
    """
    spoken = part.get("languages")
    for language in spoken if isinstance(spoken, list) else ():
        if isinstance(language, str) and re.fullmatch("[a-z]{2}", language) and language not in LANGUAGES:
            yield "languages", f"{language} is no language that we have words in; {' and '.join(LANGUAGES)} are"
    if not isinstance(part.get("templates"), str):
        return
    try:
        words, problems = look(Path(part["templates"]))
        yield from (("templates", one) for one in problems)
        with suppress(ValueError):
            found = check(Facility.model_validate(part), words, base.rstrip("/") or BASE)
            yield from (("templates", one) for one in found)
    except ConfigurationError as error:
        yield from (("templates", one) for one in error.problems)


def example(base: str = BASE) -> dict[str, str]:
    """Return invented values, as long as real ones, for what differs from notice to notice."""
    return {"link": f"{base}/p/{TOKEN}", "code": CODE, "amount": AMOUNT}


def _fields(template: Template, facility: Facility) -> Iterator[Found]:
    names = template.fields
    for match in re.finditer(r"\{([^{}]*)\}", template.text):
        name, line = match[1], _line(template, match.start())
        if name not in FIELDS:
            yield line, f"{{{name}}} is no field; words may name {_listed(FIELDS)}, and nothing of a person or a visit"
        elif name == "code" and template.purpose != "code":
            yield line, "{code} belongs to the words of purpose code; take it out"
        elif name == "amount" and template.purpose == "code":
            yield line, "{amount} is nothing that a code needs; take it out"
        elif name == "amount" and not facility.amount_in_messages:
            yield line, "{amount} may only be named where the facility says amount_in_messages: true"
        elif name == "link" and template.purpose == "code":
            yield line, "{link} beside a code teaches people to trust such messages; take it out"
        elif name == "contact" and not facility.contact:
            yield line, "{contact} is empty: the facility has no `contact`; set it, or take the field out"
    needed = ["code" if template.purpose == "code" else "link"]
    needed += ["practice", "stop"] if template.channel == "sms" else []
    for name in needed:
        if (count := names.count(name)) != 1:
            fault = "is missing" if not count else f"stands there {count} times"
            yield 1, f"{{{name}}} {fault}; {_WHY[name]}"
    if template.channel == "email" and "link" in names and "{link}" not in template.paragraphs:
        yield 1, "{link} must be a paragraph of its own, between empty lines: it becomes the button"


_WHY = {
    "link": "say once where to look and pay",
    "code": "say once what to type",
    "practice": "an SMS says once who writes",
    "stop": "an SMS says once how to get no more of them",
}


def _letters(template: Template) -> Iterator[Found]:
    """What cannot be seen, and what looks like a letter and is another."""
    for number, line in enumerate(template.text.split("\n"), start=1):
        for sign in dict.fromkeys(line):
            kind = unicodedata.category(sign)
            if kind in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
                yield number, f"has a control or invisible character (U+{ord(sign):04X}); remove it"
            elif kind[0] == "L" and not unicodedata.name(sign, "").startswith("LATIN"):
                yield number, f"has a letter of another alphabet (U+{ord(sign):04X}); type it again"
            elif kind == "Sc":
                yield number, f"has the sign of a currency (U+{ord(sign):04X}); {{amount}} has one, where it may be"
            elif kind == "Nd" and sign not in "0123456789":
                yield number, f"has a digit of another script (U+{ord(sign):04X}); take it out"
    if not template.text:
        yield 1, "is empty; write the words, or delete the file, and the shipped ones are used"


def _literal(template: Template, facility: Facility) -> Iterator[Found]:
    """What is said outside of fields."""
    text = template.text
    if facility.contact:  # how to reach the office may be written out
        text = text.replace(facility.contact, " " * len(facility.contact))
    text = re.sub(r"\{[^{}]*\}", lambda match: "\x00" * len(match[0]), text)
    if template.purpose == "code":
        text = _MINUTES.sub(lambda match: " " * len(match[0]), text)
    for match in _ADDRESS.finditer(text):
        yield _line(template, match.start()), f'"{_shown(match)}" leads elsewhere; only {{link}} and {{contact}} may'
    text = _ADDRESS.sub(lambda match: " " * len(match[0]), text)
    for match in _NUMBER.finditer(text):
        fix = "no amount, date or number; {amount} and {contact} are filled in where they may be"
        yield _line(template, match.start()), f'"{_shown(match)}" is a number, and words have {fix}'
    for match in _LIKE_FIELD.finditer(_NUMBER.sub(lambda match: " " * len(match[0]), text)):
        yield _line(template, match.start()), f'"{_shown(match)}" is no field; fields are written as in {{link}}'
    for number, line in enumerate(text.split("\n"), start=1):
        for word, what in _telling(line):
            yield number, f'"{word}" may tell {what}; say it without'


def _telling(line: str) -> Iterator[tuple[str, str]]:
    """Yield the words that give something away, and what; also where their letters are s p a c e d or have accents."""
    plain = _plain(line)
    words = [_joined(match[0]) for match in _WORD.finditer(plain)]
    words += [match[0].replace(" ", "") for match in re.finditer(r"\b[a-z](?: [a-z]\b){2,}", plain)]
    for what, patterns in _PATTERNS.items():
        yield from ((word, what) for word in words if patterns.fullmatch(word))


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text).casefold()
    return "".join(sign for sign in folded if not unicodedata.combining(sign))


def _joined(word: str) -> str:
    return "".join(sign for sign in word if sign.isalpha())


def size(template: Template, facility: Facility, base: str = BASE) -> Size | None:
    """Return how long an SMS is with a real link; None for an e-mail."""
    return measure(wording.sms(facility, template, example(base))) if template.channel == "sms" else None


def _length(template: Template, facility: Facility, base: str) -> Iterator[Found]:
    found = size(template, facility, base)
    if found is not None and found.segments > MOST:
        text = f"is {found.segments} SMS segments long ({found.length} of {found.encoding}), and {MOST} are most"
        signs = beyond_gsm(wording.sms(facility, template, example(base)))
        shorter = f", or do without {' '.join(signs)}" if signs else ""
        yield 1, f"{text}; shorten it{shorter}"


def _line(template: Template, position: int) -> int:
    return template.text.count("\n", 0, position) + 1


def _shown(match: re.Match[str]) -> str:
    return match[0].replace("\x00", "…").strip()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)
