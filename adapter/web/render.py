"""Turn a template and words into one answer: a whole page in a single response, no script, nothing from outside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from chartpost.adapter.web.at import At
from chartpost.adapter.web.words import NAMES, Words

CSS = (files(__package__) / "static" / "style.css").read_text(encoding="utf-8").strip()
#: What the policy must name so that the inline style sheet is used (CSP level 2, §hash-source).
CSS_HASH = "sha256-" + base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E"
    "%3Crect width='32' height='32' rx='8' fill='%230a5f59'/%3E"
    "%3Cpath d='M9 17l5 5 9-11' fill='none' stroke='%23fff' stroke-width='3.5'/%3E%3C/svg%3E"
)

_templates = Environment(
    loader=PackageLoader(__package__),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_templates.globals.update(css=Markup(CSS), icon=Markup(ICON))  # noqa: S704  (our own file)

#: The sign above a notice: a tick, a clock, an i, an exclamation mark.
Tone = Literal["done", "wait", "plain", "trouble"]


def page(
    template: str,
    say: Words,
    status: int = 200,
    *,
    title: str,
    facility: str = "",
    contact: str = "",
    at: At | None = None,
    below: str = "",
    languages: Sequence[str] = (),
    **values: object,
) -> HTMLResponse:
    """Render one page. `facility` heads it, `contact` is offered below it; both may be "".

    Where `at` says where its link is, other `languages` can be chosen, and the page `below` it is shown again.
    """
    others = [(one, NAMES[one]) for one in languages if one in NAMES and one != say.language] if at is not None else []
    frame = {"title": title, "facility": facility, "contact": contact, "at": at, "below": below, "others": others}
    return HTMLResponse(_templates.get_template(template).render(say=say, **frame, **values), status)


def note(
    say: Words,
    status: int,
    tone: Tone,
    heading: str,
    texts: Sequence[str],
    *,
    facility: str = "",
    contact: str = "",
    action: tuple[str, str] | None = None,
    post: tuple[str, str] | None = None,
    more: tuple[str, str] | None = None,
    at: At | None = None,
    languages: Sequence[str] = (),
) -> HTMLResponse:
    """Render a page that tells one thing: a heading, sentences, one way on (address, words), perhaps another below.

    `post` is a button that sends a form.
    """
    frame = {"facility": facility, "contact": contact, "at": at, "languages": languages}
    values = {"tone": tone, "heading": heading, "texts": texts, "action": action, "post": post, "more": more}
    return page("note.html", say, status, title=heading, **frame, **values)  # type: ignore[arg-type]
