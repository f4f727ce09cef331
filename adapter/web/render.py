"""Turn a template and words into one answer: a whole page in a single response, no script, nothing from outside."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from chartpost.adapter.web.words import Words

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
    template: str, say: Words, status: int = 200, *, title: str, facility: str = "", contact: str = "", **values: object
) -> HTMLResponse:
    """Render one page. `facility` heads it, `contact` is offered below it; both may be ""."""
    html = _templates.get_template(template).render(say=say, title=title, facility=facility, contact=contact, **values)
    return HTMLResponse(html, status)


def note(
    say: Words,
    status: int,
    tone: Tone,
    heading: str,
    texts: list[str],
    *,
    facility: str = "",
    contact: str = "",
    action: tuple[str, str] | None = None,
) -> HTMLResponse:
    """Render a page that tells one thing: a heading, sentences, at most one way on (address, words)."""
    values = {"tone": tone, "heading": heading, "texts": texts, "action": action}
    return page("note.html", say, status, title=heading, facility=facility, contact=contact, **values)
