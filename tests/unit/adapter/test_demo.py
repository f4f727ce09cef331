"""What the demo is made of: samples with their expectations, and a browser without JavaScript."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

import pytest

from chartpost.adapter.demo.browser import Browser
from chartpost.adapter.demo.samples import SAMPLES, Sample
from chartpost.adapter.ledger import states


def test_every_sample_says_what_must_become_of_it():
    samples = Sample.all()
    files = [path for kind in ("hl7", "fhir") for path in (SAMPLES / kind).iterdir()]
    assert len(samples) == len(files) / 2 >= 20
    keys = {"why", "covers", "ack", "state", "hold", "asked", "texted", "pay", "paid", "posted"}
    for sample in samples:
        assert set(sample.expected) == keys, sample.name
        assert sample.expected["state"] in set(states.Message), sample.name
        assert (sample.expected["state"] == "held") == (sample.expected["hold"] is not None), sample.name
        assert sample.expected["asked"] is not None or sample.expected["posted"] is None, sample.name


def test_the_samples_show_only_invented_people():
    for sample in Sample.all():
        assert b"555" in sample.body or sample.name == "06_without_a_total", sample.name
        assert b"@" not in sample.body.replace(b"@example.org", b""), sample.name


class Shop(BaseHTTPRequestHandler):
    """One page with a form; what is posted to it comes back as the heading of the next page."""

    def do_GET(self) -> None:
        if self.path.startswith("/thanks"):
            return self._page(f"<h1>Thanks {self.path}</h1>")
        return self._page(
            '<h1>Pay <span>5 &lt; 6</span></h1><form method="post" action="/pay"><input type="hidden" name="shown"'
            ' value="5"><input name="amount"><input type="radio" name="how" value="bank"><button name="pay"'
            ' value="all">Pay</button></form>'
        )

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(303)
        self.send_header("Location", "/thanks?" + "&".join(f"{key}={value[0]}" for key, value in sorted(form.items())))
        self.end_headers()

    def _page(self, html: str) -> None:
        self.send_response(200 if "Thanks" in html else 409)
        self.end_headers()
        self.wfile.write(html.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_browser_fills_a_form_presses_its_button_and_follows_the_redirect(shop):
    page = Browser().open(shop)
    assert (page.status, page.headings) == (409, ["Pay 5 < 6"])
    page = Browser().press(page, ("pay", "all"), amount="3")
    assert page.headings == ["Thanks /thanks?amount=3&pay=all&shown=5"]


def test_a_button_that_is_not_there_is_an_error_that_names_the_page(shop):
    browser = Browser()
    with pytest.raises(LookupError, match="no button 'part' on the page"):
        browser.press(browser.open(shop), ("pay", "part"))
