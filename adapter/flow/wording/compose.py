"""Every word that is sent to a person: a template of its purpose, channel and language, filled in.

Whoever sees a phone or a list of mails may read them, so nothing here knows a person, a date or a service, and an
amount only where the facility said so; and of the facility only its message name, because its full name may say what
is treated there.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from chartpost.adapter.errors import Permanent
from chartpost.adapter.facility import Facility
from chartpost.adapter.flow.answering import codes
from chartpost.adapter.flow.asking import link
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.wording import mentioned
from chartpost.adapter.flow.wording.phrases import PHRASES
from chartpost.adapter.flow.wording.template import Template, shipped
from chartpost.adapter.ports import OutgoingText

if TYPE_CHECKING:
    from jinja2 import Template as Html

#: Characters of a line of plain text (RFC 5322 §2.1.1).
_WIDTH = 76


class Letter(NamedTuple):
    """An e-mail: the same words twice."""

    subject: str
    text: str
    html: str


def language_of(chosen: str, party: Mapping[str, Any] | None, languages: Sequence[str]) -> str:
    """Return in which of the facility's languages somebody is written to: as chosen, as the chart says, else its first.

    `chosen` is what a person or the payer chose for the request; `party` is the recipient, as stored.
    """
    for wanted in (chosen, (party or {}).get("language", "")):
        if wanted in languages:
            return str(wanted)
    return languages[0]


def compose(flow: Flow, row: Any) -> OutgoingText:
    """Return what a notice says; `row` has its columns, its request's id and generation, and its account's facility.

    Raises Permanent when there are no words that may be said.
    """
    facility = flow.facility(row.facility)
    to, purpose = row.recipient.decode(), getattr(row, "purpose", "request")
    status_url = f"{flow.public_url}/hooks/{row.notifier}/status?notice={row.public_id}"
    if purpose == "staff":
        return mail(facility, to, staff_letter(facility, f"A payment was recorded: {row.step}."), row.public_id)
    language = language_of(getattr(row, "language", ""), None, facility.languages)
    template = flow.words.get(row.facility, shipped()).get((purpose, row.channel, language))
    if template is None:
        raise Permanent(f"there are no words for a {purpose} by {row.channel} in {language}")
    values = {}
    if "link" in template.fields:
        token = link.token(flow.link_key, row.request_id, row.generation)
        values["link"] = link.address(flow, row.facility, token)
    if "amount" in template.fields and facility.amount_in_messages:
        values["amount"] = mentioned.shown(mentioned.amount(flow, row.public_id), language, facility.region)
    if "code" in template.fields and purpose == "code":
        values["code"] = codes.shown(codes.code(flow.link_key, row.step))
    if row.channel == "email":
        return mail(facility, to, letter(facility, template, values), row.public_id, status_url)
    return OutgoingText(to, sms(facility, template, values), status_url, reference=row.public_id)


def sms(facility: Facility, template: Template, values: Mapping[str, str]) -> str:
    """Return the text of an SMS; `values` are the fields that differ from notice to notice. Raises Permanent."""
    return _fill(template, _values(facility, template, values))


def letter(facility: Facility, template: Template, values: Mapping[str, str]) -> Letter:
    """Return an e-mail. Its subject is the organisation and nothing else: subjects stand on locked screens.

    The link becomes a button, and stands below it to be copied. Raises Permanent.
    """
    say, filled = PHRASES[template.language], _values(facility, template, values)
    button = say["button.receipt" if template.purpose == "receipt" else "button"]
    parts = [
        (filled["link"], button) if one == "{link}" else (_fill(template, filled, one), "")
        for one in template.paragraphs
    ]
    contact = facility.contact.rstrip(".")
    questions = say["questions"].format(contact=contact) if contact else say["questions.answer"]
    return _letter(facility, template.language, [*parts, (questions, "")])


def staff_letter(facility: Facility, news: str) -> Letter:
    """Return an e-mail to somebody who works there: what is new, and where to look."""
    return _letter(facility, "en", [(f"{news} See it in Chartpost.", "")])


def _letter(facility: Facility, language: str, parts: Sequence[tuple[str, str]]) -> Letter:
    """`parts`: paragraphs, or an address and the words on its button."""
    sender = facility.message_name
    lines = [f"{button}:\n\n{text}" if button else _wrapped(text) for text, button in parts]
    html = _html().render(sender=sender, language=language, parts=parts, copy=PHRASES[language]["copy"])
    return Letter(sender, "\n\n".join([_wrapped(sender), *lines]) + "\n", html)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _values(facility: Facility, template: Template, values: Mapping[str, str]) -> dict[str, str]:
    stop = PHRASES[template.language][f"stop.{template.channel}"]
    return {"practice": facility.message_name, "contact": facility.contact, "stop": stop, **values}


def _fill(template: Template, values: Mapping[str, str], text: str | None = None) -> str:
    try:
        return template.fill(values, text)
    except KeyError as error:
        raise Permanent(f"{template.where} names {{{error.args[0]}}}, which may not be said there") from None


def mail(facility: Facility, to: str, said: Letter, reference: str, status_url: str = "") -> OutgoingText:
    """Return an e-mail, signed by the facility. Raises Permanent where it has no `mail`."""
    if facility.mail is None:
        raise Permanent("the facility has no `mail`, so nobody could sign an e-mail")
    signed = facility.mail
    return OutgoingText(
        to, said.text, status_url, subject=said.subject, html=said.html, sender_name=signed.sender,
        sender_address=signed.address, reply_to=signed.reply_to, reference=reference,
    )  # fmt: skip


@cache
def _html() -> Html:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined, auto_reload=False,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("mail.html")
