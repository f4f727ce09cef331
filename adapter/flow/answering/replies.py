"""What a person means who answers a text: stop, start, help, or something that another person has to read. Pure.

The service knows its own words only where nothing stands beside them; whoever writes "please stop texting me" means the
same. Words of stopping among others that we do not know are taken for a stop, and a person looks.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from typing import NamedTuple


class Kind(enum.StrEnum):
    """What an answer is taken for."""

    STOP = "stop"
    STOP_PERHAPS = "stop_perhaps"  #: taken for a stop, and a person reads it
    START = "start"
    HELP = "help"
    QUESTION = "question"  #: whatever else: a person reads it
    REACTION = "reaction"  #: a phone's "Liked …", which repeats our own words: nobody said anything


class Reply(NamedTuple):
    """An answer, understood."""

    kind: Kind
    language: str = ""  #: "es" where its words are Spanish; "" where they do not tell


def _words(text: str) -> list[str]:
    """Return the words without accents, capitals, marks, and letters that are held down: "STOOOP!!" is "stop"."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("🛑", " stop "))
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    words = re.findall(r"[a-z0-9]+", re.sub(r"['’`´]", "", plain))
    return [re.sub(r"(.)\1+", r"\1", word) for word in words]


def _set(text: str) -> frozenset[str]:
    return frozenset(_words(text))


#: Words of stopping; what begins with one of the stems is one too: stopping, unsubscribed, cancelen.
_STOP = _set("optout quit revoke remove cease desist nomore notext takeof alone stpo sotp tsop")
_STOP_ES = _set(
    "nomas basta parar paren cancelar cancele cancelen borrar borrenme borren eliminar eliminenme dejen suspender "
    "suspendan"
)
_STEMS, _STEMS_ES = ("stop", "unsub", "unsus", "cancel", "revok"), ("desuscri", "deteng", "detener", "desinscri")
#: Words that stop only where no other matter stands beside them: "I pay at the end of the month", "para mi hijo".
_ALONE, _ALONE_ES = _set("end"), _set("alto fin para pare baja salir terminar termine")
#: What may stand beside a word of stopping and changes nothing.
_FILLER = _set(
    "a all again any anymore asap at can could do everything from further future get getting hello hey hi i id im "
    "immediately in it its like list long me message messages messaging more my need now number of off ok on once "
    "phone please pls plz receive receiving right send sending sir sms sorry text texting texts thank thanks that the "
    "them these this thx to txt u us want wish would ya yes yo you your"
)
_FILLER_ES = _set(
    "con dame dar darme de del el enviar enviarme envien escribir escribirme esto estos favor gracias la las lista los "
    "mande manden mandar mas me mensaje mensajes mi numero por quiero recibir si sus texto textos todo todos un ya"
)
_POLITE = _set("please pls plz thank thanks you thx again text texts message messages sms me my por favor gracias")
_START = _set("start unstop yes resume optin subscribe restart unblock")
_START_ES = _set("si comenzar empezar iniciar reanudar continuar alta")
_HELP, _HELP_ES = _set("help info information"), _set("ayuda ayudame informacion ayudeme")

#: Several words that mean one: what is found (in words without accents), and what it stands for.
_PHRASES = [
    (re.compile(pattern), f" {meaning} ")
    for pattern, meaning in (
        (r"\bopt(ed|ing)? (me |us )?out?\b|\bopt of\b|\bopt me of\b", "optout"),
        (r"\bopt (me )?in\b", "optin"),
        (r"\bstop al\b", "stop"),
        (r"\bs t o p\b", "stop"),
        (r"\b(no|not any) more\b", "nomore"),
        (r"\b(ya )?no mas\b", "nomas"),
        (r"\b(take|get|remove) (me|us|my number|this number|my phone) of\b", "takeof"),
        (r"\b(delete|erase|lose|drop) (me|my number|this number|my phone)\b", "takeof"),
        (r"\bleave (me|us) alone\b", "alone"),
        (r"\b(do not|dont|never|not) (ever )?(text|txt|mesage|mesaging|contact|cal|send|sending|write|bother|sms)\b",
         "notext"),
        (r"\b(do not|dont|no longer|not) (want|wish|need|like)( to)?( (get|receive|be|have))?"
         r"( (any|these|this|your|more|the|al|such|sent))* (text|texts|texted|mesage|mesages|sms|contacted)\b",
         "notext"),
        (r"\bno (me|nos) (escriban?|envien?|manden?|contacten?|lamen?|molesten?|texten?)( mas)?\b", "nomas"),
        (r"\bno quiero (recibir )?(mas |sus |estos |los |ningun )*(mensajes?|textos?|sms)\b", "nomas"),
        (r"\bno (mas|envien|manden) (mensajes|textos)\b", "nomas"),
    )
]  # fmt: skip
#: What may well mean a stop, however it is said: whoever got our text is somebody else, or is angry.
_PERHAPS = re.compile(
    r"\b(wrong (number|person|phone)|not my (bil|number|account)|numero equivocado|persona equivocada|fuck|lawsuit|sue|"
    r"harasment|harasing|blocking|block you|report you|reported|spam|acoso|demanda)\b"
)
#: What phones send for a tap on our message: "Liked “…”".
_REACTION = re.compile(
    r"^\s*(liked|loved|disliked|laughed at|emphasi[sz]ed|questioned|reacted .{1,12} to|removed an? .{1,20} from|"
    r"(le|me) (gust[oó]|encant[oó]|dio risa)|no (le|me) gust[oó]|.{1,4} to)\s*[“\"„«]",
    re.IGNORECASE | re.DOTALL,
)


def understand(text: str) -> Reply:
    """Say what an answer is taken for."""
    if _REACTION.match(text):
        return Reply(Kind.REACTION)
    plain = " ".join(_words(text))
    perhaps = _PERHAPS.search(plain) is not None
    for pattern, meaning in _PHRASES:
        plain = pattern.sub(meaning, plain)
    words = plain.split()
    language = "es" if any(_is_spanish(word) for word in words) else ""
    stops = [word for word in words if _stops(word)]
    rest = [word for word in words if not _stops(word)]
    alone = [word for word in rest if word not in _ALONE | _ALONE_ES]
    if (stops or len(alone) < len(rest)) and not perhaps and set(alone) <= _FILLER | _FILLER_ES:
        return Reply(Kind.STOP, language)
    if stops or perhaps:
        return Reply(Kind.STOP_PERHAPS, language)
    for kind, meant in ((Kind.START, _START | _START_ES), (Kind.HELP, _HELP | _HELP_ES)):
        if set(words) & meant and set(words) <= meant | _POLITE:
            return Reply(kind, language)
    return Reply(Kind.QUESTION, language)


def _stops(word: str) -> bool:
    return word in _STOP | _STOP_ES or word.startswith(_STEMS + _STEMS_ES)


def _is_spanish(word: str) -> bool:
    mine = _STOP_ES | _ALONE_ES | _START_ES | _HELP_ES | _set("mensaje mensajes favor gracias quiero")
    return word in mine or word.startswith(_STEMS_ES)


#: What we answer. No name, no amount: whoever holds the phone may read it.
_STOPPED = {
    "en": "{practice}: you will get no more text messages from us. Reply START to get them again.",
    "es": "{practice}: no recibirá más mensajes de texto nuestros. Responda START para volver a recibirlos.",
}
_STARTED = {
    "en": "{practice}: you will get text messages about your bills again. Reply STOP to opt out, HELP for help.",
    "es": "{practice}: volverá a recibir mensajes de texto sobre sus facturas. Responda STOP para no recibirlos más.",
}
_HELPED = {
    "en": "{practice}: text messages about your bills.{contact} Reply STOP to opt out.",
    "es": "{practice}: mensajes de texto sobre sus facturas.{contact} Responda STOP para no recibirlos más.",
}
_CONTACT = {"en": " Questions? {contact}.", "es": " ¿Preguntas? {contact}."}


def answer(kind: Kind, practice: str, contact: str, language: str) -> str:
    """Return what is answered to such a word; "" where nothing is: a machine that answers a question helps nobody."""
    language = language if language in _STOPPED else "en"
    told = {Kind.STOP: _STOPPED, Kind.STOP_PERHAPS: _STOPPED, Kind.START: _STARTED, Kind.HELP: _HELPED}.get(kind)
    if told is None:
        return ""
    asked = _CONTACT[language].format(contact=contact.rstrip(".")) if contact else ""
    return told[language].format(practice=practice, contact=asked)
