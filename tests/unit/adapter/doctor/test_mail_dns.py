"""SPF, DKIM and DMARC as `chartpost check` finds them, at a real name server on this machine."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.doctor import examine, mail_dns
from chartpost.adapter.doctor.finding import Finding

DOMAIN = "lakeside.example.org"
MAIL = {"sender": "Lakeside Billing", "address": f"pay@{DOMAIN}", "reply_to": f"billing@{DOMAIN}"}
SMTP = {"type": "smtp", "address": "mail.example.org:587"}
GOOD = {
    DOMAIN: ["v=spf1 ip4:192.0.2.1 include:_spf.mailer.example.org -all", "some-site-verification=1"],
    "_spf.mailer.example.org": ["v=spf1 ip4:192.0.2.0/24 ~all"],
    f"s1._domainkey.{DOMAIN}": ["v=DKIM1; k=rsa; p=" + "A" * 380],
    f"_dmarc.{DOMAIN}": ["v=DMARC1; p=quarantine; rua=mailto:dmarc@lakeside.example.org"],
}


class NameServer:
    """Answers TXT questions over UDP and TCP from `zone`; `how` it fails, if it does."""

    def __init__(self) -> None:
        self.zone: dict[str, list[str]] = dict(GOOD)
        self.how = ""
        self.asked: list[str] = []
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self.port = self._udp.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                data, who = self._udp.recvfrom(4096)
            except OSError:
                return
            if data == b"end" or self.how == "silent":
                if data == b"end":
                    return
                continue
            question = dns.message.from_wire(data)
            name = question.question[0].name.to_text(omit_final_dot=True).lower()
            self.asked.append(name)
            answer = dns.message.make_response(question)
            texts = self.zone.get(name, [])
            if self.how:
                answer.set_rcode(getattr(dns.rcode, self.how))
            elif texts:
                chunks = [" ".join(f'"{text[i : i + 200]}"' for i in range(0, len(text), 200)) for text in texts]
                answer.answer.append(dns.rrset.from_text(name + ".", 60, "IN", "TXT", *chunks))
            elif not any(known.endswith(f".{name}") for known in self.zone):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            self._udp.sendto(answer.to_wire(), who)

    def ask(self) -> mail_dns.Ask:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], self.port
        return mail_dns.asking(resolver)

    def close(self) -> None:
        self._udp.sendto(b"end", ("127.0.0.1", self.port))
        self._udp.close()


@pytest.fixture
def server() -> Iterator[NameServer]:
    with closing(NameServer()) as made:
        yield made


def look(server: NameServer, selector: str = "s1", bounce: str = "") -> list[Finding]:
    smtp = SMTP | ({"bounce_address": bounce} if bounce else {})
    return list(mail_dns.look("facilities.lakeside.mail", MAIL | {"dkim_selector": selector}, [smtp], server.ask()))


def told(found: list[Finding]) -> list[tuple[str, str]]:
    return [(one.text.partition(":")[0], str(one.state)) for one in found]


def test_a_domain_with_all_three_is_well(server: NameServer) -> None:
    assert told(look(server)) == [("SPF", "ok"), ("DKIM", "ok"), ("DMARC", "ok")]
    assert len(server.asked) == len(set(server.asked)), "each name is asked for once"


@pytest.mark.parametrize(
    ("records", "state", "said"),
    [
        ([], "problem", "no record"),
        (["v=spf1 -all", "v=spf1 ~all"], "problem", "2 records"),
        (["v=spf10 -all"], "problem", "no record"),
        (["v=spf1 +all"], "problem", "everybody"),
        (["v=spf1 all"], "problem", "everybody"),
        (["v=spf1 ip4:192.0.2.1 ?all"], "warning", "says nothing"),
        (["v=spf1 ip4:192.0.2.1"], "warning", "says nothing"),
        (["V=SPF1 ip4:192.0.2.1 ~ALL"], "ok", "says who"),
        (["v=spf1 redirect=_spf.mailer.example.org"], "ok", "says who"),
        (["v=spf1 exists:%{i}.x.example.org -all"], "ok", "says who"),
    ],
)
def test_an_spf_record_is_one_that_says_who_may_send(
    server: NameServer, records: list[str], state: str, said: str
) -> None:
    server.zone[DOMAIN] = records
    first = look(server)[0]
    assert (str(first.state), said in first.text, bool(first.fix)) == (state, True, state != "ok")


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("v=spf1 " + " ".join(f"a:h{n}.example.org" for n in range(11)) + " -all", "more than 10"),
        ("v=spf1 include:deep0.example.org -all", "more than 10"),
        ("v=spf1 include:nobody.example.org -all", "has no record"),
    ],
)
def test_an_spf_record_that_receivers_give_up_on_is_a_problem(server: NameServer, record: str, said: str) -> None:
    server.zone |= {f"deep{n}.example.org": [f"v=spf1 include:deep{n + 1}.example.org ~all"] for n in range(20)}
    server.zone |= {"deep20.example.org": ["v=spf1 ~all"], DOMAIN: [record]}
    second = look(server)[1]
    assert (str(second.state), said in second.text) == ("problem", True)


def test_records_that_include_one_another_come_to_an_end(server: NameServer) -> None:
    server.zone |= {DOMAIN: [f"v=spf1 include:_spf.mailer.example.org include:{DOMAIN} ~all"]}
    server.zone["_spf.mailer.example.org"] = [f"v=spf1 include:{DOMAIN} ~all"]
    assert told(look(server))[0] == ("SPF", "ok")


@pytest.mark.parametrize(
    ("selector", "records", "state", "said"),
    [
        ("", ["v=DKIM1; p=AAAA"], "skipped", "dkim_selector"),
        ("s1", [], "problem", "no key at s1._domainkey.lakeside.example.org"),
        ("s1", ["v=DKIM1; k=rsa; p="], "problem", "withdrawn"),
        ("s1", ["k=ed25519; p=AAAA"], "ok", "there is a key"),
        ("s1", ["hello"], "problem", "no key"),
    ],
)
def test_a_dkim_key_is_looked_for_where_the_facility_says(
    server: NameServer, selector: str, records: list[str], state: str, said: str
) -> None:
    server.zone[f"s1._domainkey.{DOMAIN}"] = records
    [found] = [one for one in look(server, selector) if one.text.startswith("DKIM")]
    assert (str(found.state), said in found.text) == (state, True)


@pytest.mark.parametrize(
    ("zone", "state", "said"),
    [
        ({}, "warning", "no policy"),
        ({f"_dmarc.{DOMAIN}": ["v=DMARC1; p=none"]}, "ok", "p=none"),
        ({"_dmarc.example.org": ["v=DMARC1;p=reject"]}, "ok", "p=reject"),
        ({f"_dmarc.{DOMAIN}": ["v=DMARC1; p=maybe"]}, "problem", "no p that is one"),
        ({f"_dmarc.{DOMAIN}": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}, "warning", "no policy"),
    ],
)
def test_a_dmarc_policy_is_that_of_the_domain_or_of_one_above(
    server: NameServer, zone: dict[str, list[str]], state: str, said: str
) -> None:
    del server.zone[f"_dmarc.{DOMAIN}"]
    server.zone |= zone
    found = look(server)[-1]
    assert (str(found.state), said in found.text) == (state, True)


@pytest.mark.parametrize(
    ("bounce", "policy", "aligned"),
    [
        ("bounce@lakeside.example.org", "v=DMARC1; p=none", True),
        ("bounce@b.lakeside.example.org", "v=DMARC1; p=none", True),
        ("bounce@b.lakeside.example.org", "v=DMARC1; p=none; aspf=s", False),
        ("bounce@mailer.example.net", "v=DMARC1; p=none", False),
    ],
)
def test_mail_that_comes_back_to_another_domain_leaves_it_all_to_dkim(
    server: NameServer, bounce: str, policy: str, aligned: bool
) -> None:
    server.zone |= {bounce.partition("@")[2]: ["v=spf1 ip4:192.0.2.1 -all"], f"_dmarc.{DOMAIN}": [policy]}
    found = look(server, bounce=bounce)
    assert told(found)[0] == ("SPF", "ok")
    assert any("only DKIM does" in one.text and str(one.state) == "warning" for one in found) is not aligned


@pytest.mark.parametrize("how", ["silent", "SERVFAIL", "REFUSED"])
def test_a_name_server_that_does_not_answer_is_said_and_nothing_is_claimed(
    server: NameServer, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_dns, "SECONDS", 0.5)
    server.how = how
    [found] = look(server)
    assert (str(found.state), "could not be asked" in found.text) == ("skipped", True)


def test_a_machine_without_a_name_server_is_said_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: Any, **__: Any) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", nothing)
    [found] = mail_dns.look("mail", MAIL, [SMTP])
    assert (str(found.state), "could not be asked" in found.text) == ("skipped", True)


def test_addresses_that_are_none_and_the_sandbox_are_left_alone(server: NameServer) -> None:
    for mail, smtp in ((MAIL | {"address": "pay"}, SMTP), (MAIL, SMTP | {"address": "sandbox"})):
        [found] = mail_dns.look("mail", mail, [smtp], server.ask())
        assert str(found.state) == "skipped"
    assert server.asked == []


@given(st.lists(st.text(max_size=80), max_size=3))
def test_whatever_stands_in_dns_is_judged_and_nothing_breaks(records: list[str]) -> None:
    found = mail_dns.look("mail", MAIL | {"dkim_selector": "s1"}, [SMTP], lambda name: records)
    assert {one.text.partition(":")[0] for one in found} == {"SPF", "DKIM", "DMARC"}


def test_the_check_looks_at_every_facility_that_writes_mail(
    server: NameServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = server.ask()
    monkeypatch.setattr(mail_dns, "asking", lambda: ask)
    text = (Path(__file__).parents[4] / "samples/config/embedded.yaml").read_text("utf-8")
    config = tmp_path / "site.yaml"
    config.write_text(
        text.replace("address: sandbox          # host:port of your mail server", "address: 127.0.0.1:1").replace(
            "    bounce_secret: sandbox", "    # "
        ),
        "utf-8",
    )
    report = examine.examine(config, tmp_path / "data", {"CHARTPOST_FACILITIES__LAKESIDE__MAIL__DKIM_SELECTOR": "s1"})
    found = [one for one in report.findings if one.what == "facilities.lakeside.mail"]
    assert told(found) == [("SPF", "ok"), ("DKIM", "ok"), ("DMARC", "ok")], json.dumps([one.text for one in found])
