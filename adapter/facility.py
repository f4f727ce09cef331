"""A practice or site, as it is configured: what it is called, and by which policy its patients are asked."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, PositiveInt, StringConstraints, model_validator

from chartpost.adapter.part import Part
from chartpost.adapter.policy import Amounts, Language, Plans, Quiet, QuietHours, Reminders, Role
from chartpost.adapter.values import Currency, Limit, MailAddress, Named, OneLine, PublicUrl, Region, Timezone
from chartpost.mappings.model import Money


class Mail(Part):
    """How a facility signs its e-mail."""

    sender: OneLine  #: shown in the list of mails, so as neutral as message_name
    address: MailAddress  #: the From address; what cannot be delivered comes back to it
    reply_to: MailAddress  #: where answers go: the billing office
    #: the name under which the key stands that mail is signed with (DKIM); "": `chartpost check` does not look for it
    dkim_selector: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]*$")] = ""


class Facility(Part):
    """A practice or site."""

    name: Named
    message_name: OneLine  #: what an SMS may say: "oncology" is health information
    timezone: Timezone
    region: Region  #: ISO 3166: how phone numbers without a country are read
    currency: Currency  #: ISO 4217
    provider: Named
    notifiers: tuple[Named, ...] = ()  #: in the order in which they are tried
    mail: Mail | None = None  #: needed by notifiers that send e-mail
    contact: str = ""  #: how payers reach the billing office, shown on the pages: "(608) 555-0100"
    request_days: PositiveInt | None = None  #: a request expires after so many days; None: never
    overpaid: Literal["credit", "refund", "ask"] = "ask"  #: what becomes of an account in credit
    gather_hours: PositiveInt | None = None  #: asked once no new charge has come for so long; None: at once
    pay_url: PublicUrl | None = None  #: a custom address for this facility's links; None: public_url
    amounts: Amounts = Amounts()
    plans: Plans | None = None  #: instalments; None: none are offered
    reminders: Reminders | None = None  #: None: nobody is reminded
    quiet: QuietHours = Quiet()  #: when nobody is written to
    messages_a_week: Limit = None  #: requests and reminders to one number or address within seven days
    #: who is written to, in the order in which they are looked for
    contacts: Annotated[tuple[Role, ...], Field(min_length=1)] = ("guarantor", "patient")
    #: those it speaks; the first where nothing else is known
    languages: Annotated[tuple[Language, ...], Field(min_length=1)] = ("en", "es")
    templates: Named | None = None  #: a folder with the facility's own words (docs/admin/templates.md)
    amount_in_messages: bool = False  #: whether its words may name the amount
    identity: Annotated[tuple[Literal["date_of_birth", "code"], ...], Field(min_length=1)] = ("date_of_birth", "code")
    receipts: bool = True  #: payers get one for each payment

    @model_validator(mode="after")
    def _exact(self) -> Self:
        """Amounts must be exact in the facility's currency. Raises ValueError."""
        for name, amount in self._amounts():
            try:
                minor = Money.of(amount, self.currency).minor
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            if minor <= 0:
                raise ValueError(f"{name}: must be above zero")
        return self

    def _amounts(self) -> Iterator[tuple[str, Decimal]]:
        for part in ("amounts", "plans"):
            for key, value in getattr(self, part) or ():
                if isinstance(value, Decimal):
                    yield f"{part}.{key}", value

    def minor(self, amount: Decimal) -> int:
        """Return an amount of this configuration in minor units of the facility's currency."""
        return Money.of(amount, self.currency).minor

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)
