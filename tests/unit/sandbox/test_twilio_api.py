"""The SMS service, driven by the real `twilio` SDK, and its inbox of phones."""

from __future__ import annotations

import datetime as dt
from urllib.parse import parse_qsl, urlencode

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

SENDER = "+16085550100"
HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}


class _Here(TwilioHttpClient):
    """The SDK's own client, told only another address."""

    def __init__(self, base: str) -> None:
        super().__init__(timeout=5)
        self.base = base

    def request(self, method, url, *args, **kwargs):
        return super().request(method, url.replace("https://api.twilio.com", self.base), *args, **kwargs)


@pytest.fixture
def sms(box) -> Client:
    return Client(box.twilio_sid, box.twilio_token, http_client=_Here(box.http + "/twilio"))


def _phone(box, number: str) -> dict:
    return next(p for p in box.web.get("/inbox.json").json()["phones"] if p["number"] == number)


def test_a_text_is_queued_and_shows_up_on_its_phone(box, sms) -> None:
    body = "Lakeside: your bill is ready. https://pay.example.org/p/Ab_1-x. Reply STOP to opt out."
    made = sms.messages.create(to="+16085550111", from_=SENDER, body=body)
    assert (len(made.sid), made.sid[:2], made.status) == (34, "SM", "queued")
    assert (made.direction, made.error_code, made.num_segments) == ("outbound-api", None, "1")
    assert made.date_created.tzinfo is not None
    phone = _phone(box, "+16085550111")
    assert phone["messages"][-1]["links"] == ["https://pay.example.org/p/Ab_1-x"]
    page = box.web.get("/inbox").text
    assert 'href="https://pay.example.org/p/Ab_1-x"' in page


def test_a_text_cannot_smuggle_markup_into_the_inbox(box, sms) -> None:
    sms.messages.create(to="+16085550112", from_=SENDER, body='<script>x</script> https://a.example.org/"onclick=')
    page = box.web.get("/inbox").text
    assert "<script>x" not in page
    assert '"onclick' not in page


def test_status_callbacks_are_signed_and_end_at_delivered(box, sms, receiver) -> None:
    url = receiver.url + "/sms/status?n=17"
    made = sms.messages.create(to="+16085550113", from_=SENDER, body="Hello", status_callback=url)
    statuses = []
    for _ in range(3):
        body, headers = receiver.next()
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        assert RequestValidator(box.twilio_token).validate(url, form, headers["x-twilio-signature"])
        assert form["MessageSid"] == made.sid
        statuses.append(form["MessageStatus"])
    assert statuses == ["queued", "sent", "delivered"]
    assert sms.messages(made.sid).fetch().status == "delivered"


def test_a_landline_is_undelivered_with_30006(sms, receiver) -> None:
    made = sms.messages.create(to="+16085550199", from_=SENDER, body="Hello", status_callback=receiver.url)
    forms = [dict(parse_qsl(receiver.next()[0].decode())) for _ in range(3)]
    assert (forms[-1]["MessageStatus"], forms[-1]["ErrorCode"]) == ("undelivered", "30006")
    assert sms.messages(made.sid).fetch().error_code == 30006


def test_callbacks_come_in_any_order_and_twice_on_demand(box, sms, receiver) -> None:
    for mode, wanted in (
        ("reversed", ["delivered", "sent", "queued"]),
        ("twice", ["queued", "queued", "sent", "sent", "delivered", "delivered"]),
    ):
        box.web.post(f"/_control/twilio/callbacks?mode={mode}")
        sms.messages.create(to="+16085550114", from_=SENDER, body="Hello", status_callback=receiver.url)
        assert [dict(parse_qsl(receiver.next()[0].decode()))["MessageStatus"] for _ in wanted] == wanted


@pytest.mark.parametrize(
    ("to", "code"), [("+16085550198", 21211), ("+16085550197", 21608), ("6085550111", 21211), ("+1608555", 21211)]
)
def test_a_number_that_cannot_be_texted_is_refused(sms, to, code) -> None:
    with pytest.raises(TwilioRestException) as refused:
        sms.messages.create(to=to, from_=SENDER, body="Hello")
    assert (refused.value.code, refused.value.status) == (code, 400)
    assert to not in refused.value.msg


def test_a_wrong_token_is_20003(box) -> None:
    stranger = Client(box.twilio_sid, "0" * 32, http_client=_Here(box.http + "/twilio"))
    with pytest.raises(TwilioRestException) as refused:
        stranger.messages.create(to="+16085550111", from_=SENDER, body="Hello")
    assert (refused.value.code, refused.value.status) == (20003, 401)


def test_stop_blocks_and_start_lets_in_again(box, sms) -> None:
    number = "+16085550115"
    sms.messages.create(to=number, from_=SENDER, body="Hello")
    for word, allowed in ((" stop ", False), ("START", True)):
        form = urlencode({"number": number, "sender": SENDER, "body": word})
        assert box.web.post("/inbox/reply", content=form, headers=HEADERS).status_code == 303
        assert _phone(box, number)["blocked"] is not allowed
        if allowed:
            sms.messages.create(to=number, from_=SENDER, body="Hello again")
        else:
            with pytest.raises(TwilioRestException) as refused:
                sms.messages.create(to=number, from_=SENDER, body="Hello again")
            assert refused.value.code == 21610


def test_what_a_person_types_reaches_the_inbound_address_signed(box, sms, receiver) -> None:
    number = "+16085550116"
    sms.messages.create(to=number, from_=SENDER, body="Hello")
    box.web.post("/_control/twilio/inbound", params={"url": receiver.url + "/in"})
    form = urlencode({"number": number, "sender": SENDER, "body": "HELP"})
    box.web.post("/inbox/reply", content=form, headers=HEADERS)
    body, headers = receiver.next()
    got = dict(parse_qsl(body.decode()))
    assert (got["From"], got["To"], got["Body"], got["OptOutType"]) == (number, SENDER, "HELP", "HELP")
    assert RequestValidator(box.twilio_token).validate(receiver.url + "/in", got, headers["x-twilio-signature"])
    assert "Reply STOP" in _phone(box, number)["messages"][-1]["body"]


def test_who_asks_for_it_answers_the_words_of_opting_out_alone(box, sms) -> None:
    number = "+16085550125"
    sms.messages.create(to=number, from_=SENDER, body="Hello")
    box.web.post("/_control/twilio/optout", params={"by": "ours"})
    try:
        form = urlencode({"number": number, "sender": SENDER, "body": "STOP"})
        box.web.post("/inbox/reply", content=form, headers=HEADERS)
        assert not _phone(box, number)["blocked"]
        assert _phone(box, number)["messages"][-1]["body"] == "STOP"
        sms.messages.create(to=number, from_=SENDER, body="Hello again")
    finally:
        box.web.post("/_control/twilio/optout", params={"by": "service"})


def test_a_dropped_connection_has_sent_the_text_all_the_same(box, sms) -> None:
    number = "+16085550117"
    box.web.post("/_control/twilio/next?answer=drop")
    with pytest.raises(requests.ConnectionError):
        sms.messages.create(to=number, from_=SENDER, body="Only once")
    found = sms.messages.list(to=number, from_=SENDER)
    assert [message.body for message in found] == ["Only once"]


def test_a_500_has_sent_nothing(box, sms) -> None:
    box.web.post("/_control/twilio/next?answer=500")
    with pytest.raises(TwilioRestException) as failed:
        sms.messages.create(to="+16085550118", from_=SENDER, body="Hello")
    assert failed.value.status == 500
    assert sms.messages.list(to="+16085550118") == []


def test_the_list_is_paged_and_filtered(sms, receiver) -> None:
    number = "+16085550120"
    for n in range(5):
        sms.messages.create(to=number, from_=SENDER, body=f"n{n}", status_callback=receiver.url)
    while receiver.got.qsize() < 15:
        receiver.got.put((*[""], *receiver.next()))
    assert [m.body for m in sms.messages.list(to=number, page_size=2)] == ["n4", "n3", "n2", "n1", "n0"]
    tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    assert len(sms.messages.list(to=number, date_sent_before=tomorrow)) == 5
    assert sms.messages.list(to=number, date_sent_after=tomorrow) == []
    assert sms.messages.list(to=number, from_="+16085550109") == []
