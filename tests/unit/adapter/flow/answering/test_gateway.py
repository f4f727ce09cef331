"""People write back through a gateway of anybody's: the same words count, and the same signature is asked for."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from workbench import Workbench, configuration, dft, line, unique

from chartpost.adapter.ledger import tables
from chartpost.adapter.notifiers.http import HttpNotifier
from chartpost.adapter.ports import OutgoingText
from chartpost.adapter.settings import Plugin

PHONE = "+17735550141"


@pytest.fixture
def gate(live: Workbench, other: Any) -> Any:
    base = configuration(other.ready)
    options = {
        "type": "http",
        "url": other.ready["http"] + "/gateway/messages",
        "secret": other.ready["gateway_secret"],
    }
    facility = base.facilities["lakeside"].model_copy(update={"notifiers": ("gate",)})
    notifiers = base.notifiers | {"gate": Plugin.model_validate(options)}
    live.use(base.model_copy(update={"facilities": {"lakeside": facility}, "notifiers": notifiers}))
    other.hooks.flow = live.flow

    def write(text: str) -> int:
        asked = {"url": f"{other.hooks.url}/hooks/gate/incoming", "from": PHONE, "text": text}
        other.call(f"/_control/gateway/write?{urlencode(asked)}")
        deliveries = other.get("/_control/gateway/deliveries")
        *_, status = [one["status"] for one in deliveries if one["told"].get("text") == text]
        return int(status)

    return write


def owing(live: Workbench) -> None:
    live.take(dft(line("CG", "40.00"), account=unique("G"), phone=PHONE[2:]))
    live.work("notify")


def test_stop_counts_at_once_and_start_takes_it_back(live: Workbench, other: Any, gate: Any) -> None:
    owing(live)
    other.hooks.until(lambda: [row.state for row in live.rows(tables.notice)] == ["delivered"])
    assert gate("please stop texting me") == 200
    owing(live)
    assert [row.state for row in live.rows(tables.notice)] == ["delivered", "blocked"]
    assert gate("START") == 200
    owing(live)
    other.hooks.until(lambda: live.rows(tables.notice)[-1].state == "delivered")
    assert len(other.texts(PHONE)) >= 2


def test_a_gateway_that_drops_what_it_has_had_sends_once_however_often_it_is_asked(other: Any) -> None:
    url, secret = other.ready["http"] + "/gateway/messages", other.ready["gateway_secret"]
    notifier = HttpNotifier(url, [secret], "sms", idempotent=True, timeout=3)
    text = OutgoingText("+17735550142", "Lakeside: hello", "http://127.0.0.1:1/x", reference=f"N{unique()}000")
    assert len({notifier.send(text).provider_ref for _ in range(3)}) == 1
    assert len(other.texts("+17735550142")) == 1
