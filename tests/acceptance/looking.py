"""Pages in a real browser: served as the product serves them, opened, and examined."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette

PHONE, SMALL, DESKTOP = (390, 844), (320, 568), (1280, 800)


@contextmanager
def served(app: Starlette, sock: socket.socket) -> Iterator[None]:
    """Serve an app on a bound socket, as the product does: uvicorn, no access log."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))
    thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
    sock.listen()  # connections queue here until the server takes them
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)


def door() -> tuple[socket.socket, str]:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock, f"http://127.0.0.1:{sock.getsockname()[1]}"


def opened(browser: Any, size: tuple[int, int], **options: Any) -> Any:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, **options)
    page.set_default_timeout(60_000)
    return page


def examine(page: Any, name: str, width: int) -> list[str]:
    """Return what is wrong with a page: for axe, for a screen so wide, for a finger."""
    from axe_playwright_python.sync_playwright import Axe

    report = Axe().run(page)
    problems = [f"{name}: {violation['id']}" for violation in report.response["violations"]]
    if page.evaluate("document.documentElement.scrollWidth") > width:
        problems.append(f"{name}: scrolls sideways")
    for target in page.locator("button, a, select, textarea, .pick, input:not([type=hidden],.pick input)").all():
        if target.bounding_box()["height"] < 44:
            problems.append(f"{name}: a target smaller than 44 px")
    return problems
