"""A browser without JavaScript, as small as a story needs: it opens pages, fills forms, follows redirects.

Used by the demo, which pays as a patient does. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin
from urllib.request import HTTPCookieProcessor, Request, build_opener


@dataclass(slots=True)
class Form:
    """A form on a page: where it goes, what is filled in, and which buttons it has."""

    action: str
    method: str = "get"
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)  #: (name, value)


@dataclass(slots=True)
class Page:
    """What a person sees: the address, the headings, and the forms."""

    url: str
    status: int
    headings: list[str] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)


class Browser:
    """One person's browser, with its cookies."""

    def __init__(self, timeout: float = 15.0) -> None:
        self.timeout = timeout  # seconds
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()))

    def open(self, url: str, fields: dict[str, str] | None = None) -> Page:
        """Open an address, or post a form to it; follow redirects. Raises OSError when nobody answers."""
        data = None if fields is None else urlencode(fields).encode()
        request = Request(url, data, {"Accept": "text/html", "User-Agent": "Chartpost demo"})  # noqa: S310
        try:
            with self._opener.open(request, timeout=self.timeout) as answer:
                return _read(answer.geturl(), answer.status, answer.read())
        except HTTPError as error:  # an error page is a page too
            return _read(error.url or url, error.code, error.read())

    def press(self, page: Page, button: tuple[str, str], **typed: str) -> Page:
        """Fill in `typed` and press a button, given by its name and value. Raises LookupError when it is not there."""
        for form in page.forms:
            if button in form.buttons:
                fields = {**form.fields, **typed, button[0]: button[1]}
                return self.open(urljoin(page.url, form.action or page.url), fields)
        raise LookupError(f"no button {button[1]!r} on the page {page.headings}")


def _read(url: str, status: int, body: bytes) -> Page:
    page = Page(url, status)
    reader = _Reader(page)
    reader.feed(body.decode("utf-8", "replace"))
    page.headings = [" ".join(heading.split()) for heading in page.headings]
    return page


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__(convert_charrefs=True)
        self.page = page
        self._heading = False
        self._form: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "h1":
            self._heading = True
            self.page.headings.append("")
        elif tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get"))
            self.page.forms.append(self._form)
        elif self._form is not None and "name" in given:
            if tag == "input" and (given.get("type") not in ("radio", "checkbox") or "checked" in given):
                self._form.fields[given["name"]] = given.get("value", "")
            elif tag == "button":
                self._form.buttons.append((given["name"], given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "h1":
            self._heading = False
        elif tag == "form":
            self._form = None

    def handle_data(self, data: str) -> None:
        if self._heading:
            self.page.headings[-1] += data
