"""Whether mail in a facility's name will be believed: SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 7489), as in DNS.

Asked is this machine's own name server. Which addresses the mail server sends from is not known here: that SPF lists
them, whoever runs it must see to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chartpost.adapter.doctor.finding import Finding, State
from chartpost.adapter.mail_address import wire

if TYPE_CHECKING:
    from dns.resolver import Resolver

#: Seconds for one question, and questions for one SPF record: RFC 7208 §4.6.4 allows ten.
SECONDS, MOST_LOOKUPS = 3.0, 10
#: Terms of SPF that cost receivers a question.
_ASKS = re.compile(r"[+?~-]?(include|a|mx|ptr|exists)([:/].*)?|redirect=.+", re.IGNORECASE)
_OTHER = re.compile(r"[+?~-]?include:(.+)|redirect=(.+)", re.IGNORECASE)

#: name → its TXT records; [] where there is none
Ask = Callable[[str], Sequence[str]]
Said = Iterator[tuple[State, str, str]]


class Unasked(Exception):
    """The name server gave no answer; the reason in words."""


def look(
    what: str, mail: Mapping[str, Any], notifiers: Sequence[Mapping[str, Any]], ask: Ask | None = None
) -> Iterator[Finding]:
    """Look at the domain of a facility's `mail`, as its `notifiers` of e-mail send it."""
    if any("sandbox" in options.values() for options in notifiers):
        yield Finding(what, State.SKIPPED, "goes to the sandbox, and nowhere else")
        return
    try:
        domain = wire(str(mail.get("address"))).domain.lower()
        back = {str(options.get("bounce_address") or mail.get("address")) for options in notifiers}
        returns = sorted({wire(address).domain.lower() for address in back})
    except ValueError:
        yield Finding(what, State.SKIPPED, "its addresses are wrong; see the configuration's problems")
        return
    ask = asking() if ask is None else ask
    try:
        found = [one for place in returns for one in spf(place, ask)]
        found += [*dkim(domain, str(mail.get("dkim_selector") or ""), ask), *dmarc(domain, returns, ask)]
    except Unasked as error:
        yield Finding(what, State.SKIPPED, f"SPF, DKIM and DMARC could not be asked for: {error}")
        return
    yield from (Finding(what, *one) for one in found)


def spf(domain: str, ask: Ask) -> Said:
    """Judge the SPF record of the domain that mail comes back to: receivers look there."""
    records = _spf_records(domain, ask)
    if len(records) != 1:
        text = f"SPF: {domain} has {'no record' if not records else f'{len(records)} records, and receivers take none'}"
        yield State.PROBLEM, text, f"publish one TXT record at {domain} that lists your mail server: v=spf1 … -all"
        return
    terms = records[0].lower().split()[1:]
    ends = [term for term in terms if term in ("all", "+all", "?all", "~all", "-all")]
    if ends and ends[0] in ("all", "+all"):
        yield State.PROBLEM, f"SPF: {domain} lets everybody send in its name (+all)", "end it with -all or ~all"
    elif (ends or ["?all"])[0] == "?all" and not any(term.startswith("redirect=") for term in terms):
        yield State.WARNING, f"SPF: {domain} says nothing of other servers", "end its record with -all or ~all"
    else:
        yield State.OK, f"SPF: {domain} says who may send", ""
    if (cost := _lookups(records[0], ask, {domain})) > MOST_LOOKUPS:
        text = f"SPF: {domain} costs receivers more than {MOST_LOOKUPS} questions, and then it does not count"
        yield State.PROBLEM, text, "take out what is not used, or name addresses (ip4:, ip6:) in place of include:"
    elif cost < 0:
        text = f"SPF: {domain} includes a domain that has no record, and then it does not count"
        yield State.PROBLEM, text, "correct its include: and redirect= terms"


def _spf_records(domain: str, ask: Ask) -> list[str]:
    return [text for text in ask(domain) if re.match(r"v=spf1( |$)", text, re.IGNORECASE)]


def _lookups(record: str, ask: Ask, seen: set[str]) -> int:
    """Count the questions of a record and of all that it includes; -1 where one of those has none."""
    count = 0
    for term in record.split()[1:]:
        count += _ASKS.fullmatch(term) is not None
        named = _OTHER.fullmatch(term)
        other = (named[1] or named[2]).lower().rstrip(".") if named else ""
        if not other or "%" in other or other in seen:  # macros depend on who asks
            continue
        if count > MOST_LOOKUPS or len(seen) > MOST_LOOKUPS:
            return MOST_LOOKUPS + 1
        seen.add(other)
        below = _spf_records(other, ask)
        inner = _lookups(below[0], ask, seen) if len(below) == 1 else -1
        if inner < 0:
            return -1
        count += inner
    return count


def dkim(domain: str, selector: str, ask: Ask) -> Said:
    """Look for the key that the mail server signs with."""
    if not selector:
        yield State.SKIPPED, "DKIM: not looked at, since the facility's mail has no dkim_selector", ""
        return
    name = f"{selector}._domainkey.{domain}"
    keys = [tags for tags in map(_tags, ask(name)) if "p" in tags]
    if not keys:
        yield State.PROBLEM, f"DKIM: there is no key at {name}", "publish the key of your mail server there"
    elif not all(tags["p"] for tags in keys):
        yield State.PROBLEM, f"DKIM: the key at {name} is withdrawn", "publish the key that your mail server signs with"
    else:
        yield State.OK, f"DKIM: there is a key at {name}; that mail is signed with it, a mail to yourself shows", ""


def dmarc(domain: str, returns: Sequence[str], ask: Ask) -> Said:
    """Judge the policy for the From domain, and whether SPF of the domains that mail comes back to counts for it."""
    policy = next((tags for place in _upwards(domain) if (tags := _policy(place, ask))), None)
    if policy is None:
        yield State.WARNING, f"DMARC: {domain} has no policy", f"publish one at _dmarc.{domain}: v=DMARC1; p=none"
        return
    if policy.get("p", "").lower() not in ("none", "quarantine", "reject"):
        yield State.PROBLEM, f"DMARC: the policy of {domain} has no p that is one", "say p=none, quarantine or reject"
        return
    yield State.OK, f"DMARC: {domain} has a policy, p={policy['p'].lower()}", ""
    strict, own = policy.get("aspf", "r").lower() == "s", _organisation(domain, ask)
    for place in returns:
        if place != domain and (strict or _organisation(place, ask) != own):
            text = f"DMARC: mail comes back to {place}, so its SPF does not count for {domain}: only DKIM does"
            yield State.WARNING, text, f"take a bounce_address at {domain}, or see that mail is signed for {domain}"


def _policy(domain: str, ask: Ask) -> dict[str, str] | None:
    found = [_tags(text) for text in ask(f"_dmarc.{domain}") if re.match(r"v\s*=\s*DMARC1\s*(;|$)", text)]
    return found[0] if len(found) == 1 else None


def _organisation(domain: str, ask: Ask) -> str:
    """Return the highest domain above that has a policy, without a list of public suffixes; else the domain."""
    return next((place for place in reversed([*_upwards(domain)]) if _policy(place, ask)), domain)


def _upwards(domain: str) -> Iterator[str]:
    labels = domain.split(".")
    yield from (".".join(labels[start:]) for start in range(len(labels) - 1))


def _tags(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): re.sub(r"\s", "", value) for name, mark, value in pairs if mark}


def asking(resolver: Resolver | None = None) -> Ask:
    """Return what asks a name server for TXT records, this machine's own by default. It raises Unasked."""
    from dns import exception
    from dns import resolver as resolvers

    known: dict[str, list[str]] = {}

    def ask(name: str) -> list[str]:
        try:
            server = resolver or resolvers.Resolver()
            found = server.resolve(name + ".", "TXT", lifetime=SECONDS)
            return [b"".join(row.strings).decode("utf-8", "replace") for row in found]
        except (resolvers.NXDOMAIN, resolvers.NoAnswer):
            return []
        except (exception.Timeout, resolvers.NoNameservers, resolvers.NoResolverConfiguration, OSError) as error:
            raise Unasked(f"no name server answers ({type(error).__name__})") from None
        except (exception.DNSException, UnicodeError) as error:
            raise Unasked(f"{name} cannot be asked for ({type(error).__name__})") from None

    return lambda name: known[name] if name in known else known.setdefault(name, ask(name))
