"""Every word that the pages say, by language: to add Spanish, add one more dictionary with the same keys.

Plain words, short sentences, about grade 6. `{facility}` and the amounts are filled in already formatted for the
locale; nothing here may need a person's name, a date or a service: no identity has been checked.
"""

from __future__ import annotations

from dataclasses import dataclass

WORDS: dict[str, dict[str, str]] = {
    "en": {
        # The pay page
        "pay.title": "Payment to {facility}",
        "pay.label": "You owe now",
        "pay.paid": "You have paid {paid} so far. Thank you.",
        "pay.all": "Pay {owed} now",
        "pay.secure": "Next comes the secure payment page of our card processor. We never see your card number.",
        "pay.amount": "Or pay a part now",
        "pay.hint": "Any amount up to {owed}. You can pay the rest later with the same link.",
        "pay.part_button": "Pay this amount",
        "pay.back": "No payment was made. You can pay whenever you are ready.",
        "pay.changed": "The amount has changed since you opened this page. You now owe {owed}.",
        "pay.not_online": "We cannot take this amount by card. Please call {facility}.",
        "pay.busy": "Your last try is still under way. Please wait a few seconds, then press the button again.",
        "pay.provider": "No payment was made: our card processor does not answer. Please try again in a few minutes.",
        "error.title": "Error: {title}",
        "error.empty": "Enter the amount that you want to pay.",
        "error.not_an_amount": "Enter an amount in numbers, like {example}.",
        "error.decimals": "This amount has too many digits at the end. Write it like {example}.",
        "error.zero": "Enter an amount above zero.",
        "error.more": "That is more than you owe. Enter {owed} or less.",
        "error.amount": "We cannot take this amount. Try another one, up to {owed}.",
        # What a link may have become
        "paid.title": "All paid. Thank you!",
        "paid.text": "You paid {paid} to {facility}. There is nothing else to do.",
        "settled.title": "Nothing left to pay",
        "settled.text": "You owe nothing on this request from {facility}. There is nothing else to do.",
        "cancelled.title": "You do not need to pay this",
        "cancelled.text": "{facility} took this request back. The link does not take payments any more.",
        "expired.title": "This link is too old",
        "expired.text": "The link does not take payments any more. Please ask {facility} for a new one.",
        "sofar.text": "What you paid with this link: {paid}.",
        "pending.title": "We are recording your payment",
        "pending.text": "A payment to {facility} is on its way. Please do not pay again. You can close this page.",
        "unknown.title": "We cannot find this link",
        "unknown.text": "A part of it may be missing. Go back to your message and open the link from there.",
        "unknown.help": "Still stuck? Call the clinic that sent you the message.",
        # Coming back from the card page
        "recorded.title": "Thank you!",
        "recorded.text": "Your payment to {facility} is recorded. You have paid {paid} with this link.",
        "recorded.nothing": "There is nothing left to pay.",
        "recorded.left": "Left to pay: {owed}.",
        "recorded.rest": "Pay the rest",
        "received.title": "Your card payment went through",
        "received.text": "It is being recorded for {facility}. Please do not pay again.",
        "waiting.soon": "This page looks again by itself in a moment.",
        "processing.title": "Your payment is on its way",
        "processing.text": "Your bank is still confirming your payment to {facility}. Please do not pay again.",
        "waiting.long": "This takes a little longer than usual. You can close this page: your payment is safe with us.",
        "again": "Look again",
        "nothing.title": "No payment was made yet",
        "nothing.text": "The payment was not finished on the card page. You have not been charged.",
        "closed.title": "The card page was closed",
        "closed.text": "No payment was made there. You have not been charged.",
        "unseen.title": "We cannot see your payment yet",
        "unseen.text": "If you finished it on the card page, do not pay again. It will be recorded by itself.",
        "unseen.else": "If you did not finish it, open the link in your message again later.",
        "to_pay": "Back to payment",
        # Trouble
        "burst.title": "Please wait a minute",
        "burst.text": "We got many wrong links at once. Wait a minute, then open the link in your message again.",
        "refused.title": "Please open your link again",
        "refused.text": "This came from another website, so we did not use it. Nothing was paid. Use the link you got.",
        "failed.title": "Something went wrong on our side",
        "failed.text": "Please try again in a few minutes.",
        "away.title": "We will be right back",
        "away.text": "We cannot reach our records right now. Please try again in a few minutes.",
        "safe": "If you have just paid, do not pay again. Your payment still counts.",
        "code": "If you call us about this, tell us this code: {code}.",
        "questions": "Questions?",
    },
}


@dataclass(frozen=True, slots=True)
class Words:
    """The catalogue of one locale ("en_US"); a language that we do not have is spoken in English."""

    locale: str

    @property
    def language(self) -> str:
        spoken = self.locale.replace("-", "_").partition("_")[0].lower()
        return spoken if spoken in WORDS else "en"

    @property
    def tag(self) -> str:
        """The BCP 47 tag for `<html lang>`: of the words, not of the amounts."""
        tag = self.locale.replace("_", "-")
        return tag if tag.partition("-")[0].lower() == self.language else self.language

    def __call__(self, key: str, **values: str) -> str:
        """Say `key` with its values filled in. Raises KeyError when either is missing."""
        return WORDS[self.language][key].format_map(values)
