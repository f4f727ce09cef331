"""Every word that is sent to a person: who asks, the link, how to stop or to ask back. Pure.

Whoever sees a phone or a list of mails may read them, so nothing here knows a person, a date, a service or an amount;
and of the facility only its message name, because its full name may say what is treated there.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from chartpost.adapter.settings import Facility

if TYPE_CHECKING:
    from jinja2 import Template

OWED = "You have a balance to pay."
BUTTON = "See it and pay securely"
COPY = "If the button does not work, copy this address into your browser:"


class Letter(NamedTuple):
    """An e-mail: the same words twice."""

    subject: str
    text: str
    html: str


def sms(facility: Facility, url: str) -> str:
    """Return the text of an SMS."""
    return f"{facility.message_name}: you have a balance to pay. See it and pay securely: {url} Reply STOP to opt out."


def letter(facility: Facility, url: str) -> Letter:
    """Return the e-mail. Its subject is the organisation and nothing else: subjects stand on locked screens."""
    sender = facility.message_name
    contact = facility.contact.rstrip(".")
    questions = (
        f"Questions? {contact}, or just answer this e-mail." if contact else "Questions? Just answer this e-mail."
    )
    text = f"{sender}\n\n{OWED} {BUTTON}:\n\n{url}\n\n{questions}\n"
    html = _template().render(sender=sender, owed=OWED, button=BUTTON, copy=COPY, questions=questions, url=url)
    return Letter(sender, text, html)


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined, auto_reload=False
    )
    return environment.get_template("mail.html")
