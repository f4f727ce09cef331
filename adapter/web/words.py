"""Every word that the pages say, by language: to add one, add a dictionary with the same keys and its own name.

`{facility}` and the amounts are filled in already formatted for the locale. Before somebody has shown who they are
nothing here needs a person's name, a service or its date.
"""

from __future__ import annotations

from dataclasses import dataclass

from chartpost.adapter.web.words_en import ENGLISH
from chartpost.adapter.web.words_es import SPANISH

WORDS: dict[str, dict[str, str]] = {"en": ENGLISH, "es": SPANISH}
#: What each language calls itself.
NAMES = {"en": "English", "es": "Español"}


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


def spoken(wanted: str, accepted: str) -> Words:
    """Return the words for somebody of whom nothing is known: asked for by address, else by their browser's setting.

    `accepted` is the Accept-Language header (RFC 9110 §12.5.4); browsers name the language they like best first.
    """
    for one in (wanted, *accepted.split(",")):
        language = one.strip()[:2].lower()
        if language in WORDS:
            return Words(f"{language}_US")
    return Words("en_US")
