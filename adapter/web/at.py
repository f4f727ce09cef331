"""Where the pages of one link are."""

from __future__ import annotations

from typing import NamedTuple


class At(NamedTuple):
    """`at()` is the page of the link, `at("/help")` one below it; a language that was asked for comes along."""

    here: str  #: "/p/TOKEN", with the path of the public address before it
    query: str = ""  #: "lang=es"

    def __call__(self, below: str = "") -> str:
        return f"{self.here}{below}" + (f"?{self.query}" if self.query else "")
