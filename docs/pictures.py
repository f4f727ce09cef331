"""Remake the pictures of the documentation: `make pictures`. Needs Chromium, and nothing that already runs.

    docs/pictures/loop.svg     drawn here
    docs/pictures/story.png    photographed: the real pages of `chartpost serve` and its sandbox, side by side
    docs/pictures/page.png     photographed: what a payer can do on the page, in Spanish too

One sample message is sent, and a browser does what a patient does. Every person in it is invented.
"""

from __future__ import annotations

import base64
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from draw_loop import loop
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from chartpost.adapter.demo.child import start, stop

HERE = Path(__file__).parent / "pictures"
SAMPLE = Path(__file__).parents[1] / "samples" / "hl7" / "01_two_charges.hl7"
ACCOUNT = "K-30101"
BORN = ("1984", "6", "12")  #: the patient of the sample
LIMIT = 300_000  #: bytes of a picture

_FRAME = """
<!doctype html><meta charset="utf-8"><style>
* { box-sizing: border-box }
body { margin: 0; background: #dfe8ea; font: 15px/1.4 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #16242f }
main { display: flex; gap: 30px; padding: 30px 32px 26px; align-items: flex-start; width: max-content }
figure { margin: 0 }
figcaption { margin: 14px 4px 0; color: #3d505b }
figcaption b { color: #0b6b74; margin-right: .4em }
img { display: block; height: 560px; border-radius: 16px; box-shadow: 0 10px 30px #12303a2b }
</style><main>%s</main>
"""


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Start `chartpost serve` with its sandbox on free ports, and end both."""
    with tempfile.TemporaryDirectory(prefix="chartpost-pictures-") as folder:
        served = start(Path(folder))
        try:
            yield served.doors
        finally:
            stop(served)


Seen = list[tuple[str, bytes]]  #: caption, PNG


def photographs(browser: Browser, doors: dict[str, str]) -> tuple[Seen, Seen]:
    """Send the sample, pay as a patient, and return what was to be seen: on the way, and on the page before paying."""
    sandbox = doors["sandbox"]
    body = SAMPLE.read_bytes()
    to, how = f"{sandbox}/clinic/send?name={SAMPLE.stem}", {"Content-Type": "application/octet-stream"}
    sent = Request(to, body, how)  # noqa: S310
    urlopen(sent, timeout=15).close()  # noqa: S310
    # Without motion no fresh line is caught half faded in.
    phone = browser.new_context(viewport={"width": 390, "height": 700}, device_scale_factor=2, reduced_motion="reduce")
    desk = browser.new_context(viewport={"width": 780, "height": 700}, device_scale_factor=2, reduced_motion="reduce")

    inbox = phone.new_page()
    inbox.goto(f"{sandbox}/inbox")
    inbox.wait_for_selector(".sms a")
    inbox.wait_for_selector(".sms small:has-text('delivered')")
    link = str(inbox.get_attribute(".sms a", "href"))
    seen = [("the text, or an e-mail", inbox.screenshot())]

    pay = phone.new_page()
    pay.goto(link)
    seen.append(("the page behind its link", pay.screenshot()))
    page = on_the_page(phone, link)
    pay.click("button[name=pay][value=all]")
    pay.fill("[name=card_number]", "4242 4242 4242 4242")
    pay.fill("[name=expiry]", "12 / 34")
    pay.fill("[name=cvc]", "123")
    pay.click("button[name=method][value=card]")
    pay.wait_for_url("**/return?**")

    chart = desk.new_page()
    chart.goto(f"{sandbox}/clinic/chart/{ACCOUNT}")
    chart.wait_for_selector("#balance:has-text('0.00')")
    chart.wait_for_selector("tr.payment")
    return [*seen, ("the chart, a moment after the card was charged", chart.screenshot())], page


def on_the_page(phone: BrowserContext, link: str) -> Seen:
    """Show who one is, see the details, look at what else can be said."""
    page = phone.new_page()
    page.goto(f"{link}?lang=es")
    seen = [("the page in Spanish", page.screenshot())]
    page.goto(f"{link}/details")
    seen.append(("more, for whoever shows who they are", page.screenshot()))
    for name, value in zip(("year", "month", "day"), BORN, strict=True):
        page.select_option("#month", value) if name == "month" else page.fill(f"#{name}", value)
    page.click("button[value=birth_date]")
    page.wait_for_selector("table")
    seen.append(("what it is for, and receipts", page.screenshot()))
    page.goto(f"{link}/help")
    return [*seen, ("what else a payer can say", page.screenshot())]


def side_by_side(browser: Browser, seen: Seen) -> bytes:
    """Put the photographs beside each other, numbered."""
    figures = "".join(
        f'<figure><img alt="" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        f"<figcaption><b>{number}</b>{caption}</figcaption></figure>"
        for number, (caption, png) in enumerate(seen, start=1)
    )
    page = browser.new_page(viewport={"width": 1400, "height": 660}, device_scale_factor=1.25)
    page.set_content(_FRAME % figures)
    return page.locator("main").screenshot()


def main() -> int:
    HERE.mkdir(exist_ok=True)
    (HERE / "loop.svg").write_text(loop(), "utf-8")
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.stderr.write("loop.svg is drawn; for story.png install Chromium (Debian: apt install chromium)\n")
        return 1
    with running() as doors, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        seen = zip(("story.png", "page.png"), photographs(browser, doors), strict=True)
        pictures = {name: side_by_side(browser, photographed) for name, photographed in seen}
        browser.close()
    for name, picture in pictures.items():
        if len(picture) > LIMIT:
            sys.stderr.write(f"{name} would have {len(picture)} bytes, more than {LIMIT}\n")
            return 1
        (HERE / name).write_bytes(picture)
        sys.stdout.write(f"docs/pictures/{name}: {len(picture) // 1000} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
