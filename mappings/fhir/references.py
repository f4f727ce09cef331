"""Follow the references of an Invoice among the resources that came with it, or were fetched for it.

In the order in which they are tried: `#contained`; the fullUrl of an entry; `Type/id`; `Patient/x` where only
`urn:uuid:x` fits, which German bundles have; an identifier alone (FHIR R4 §2.3.0.1, §3.2.8). What two different
resources answer to is not followed: a payer must not be a matter of order. Of several versions the first counts, with
which a history begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

Resource = dict[str, Any]
Entry = tuple[str, Resource]  # fullUrl, "" if none; resource

_REST = re.compile(
    r"(?:(?P<base>https?://\S+)/)?(?P<type>[A-Z][A-Za-z]{1,63})/(?P<id>[A-Za-z0-9.-]{1,64})"
    r"(?:/_history/[A-Za-z0-9.-]{1,64})?",
    re.ASCII,
)


def entry(item: Any) -> Entry:
    """Return fullUrl ("" if none) and resource of what lies around an Invoice: a Bundle's entry, or a bare resource."""
    if not isinstance(item, dict):
        return "", {}
    if "resourceType" in item or "resource" not in item:
        return "", item
    url, resource = item.get("fullUrl"), item["resource"]
    return url if isinstance(url, str) else "", resource if isinstance(resource, dict) else {}


def objects(value: Any) -> list[Resource]:
    """Return the objects of a list; what is no list counts as one of a single item."""
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)]


def text(value: Any) -> str:
    """Return a text without the space around it; "" for what should be one and is not."""
    return value.strip() if isinstance(value, str) else ""


def literal(reference: Resource) -> str:
    """Return where a Reference leads, without a version: "Patient/12", "urn:uuid:…", "#p"; "" if it does not say."""
    said = text(reference.get("reference"))
    return said.partition("/_history/")[0] if _REST.fullmatch(said) else said


def fetchable(reference: Resource) -> str:
    """Return `Type/id` or an absolute URL of one: what another server can be asked for. Else ""."""
    said = literal(reference)
    return said if _REST.fullmatch(said) else ""


def kind(reference: Resource, resource: Resource | None = None) -> str:
    """Return the type of resource that a Reference means; "" when nobody says."""
    if resource is not None:
        return text(resource.get("resourceType"))
    found = _REST.fullmatch(literal(reference))
    return found["type"] if found else text(reference.get("type"))


def identifiers(resource: Resource) -> list[tuple[str, str]]:
    """Return (system, value) of the identifiers that have both."""
    found = objects(resource.get("identifier"))
    pairs = ((text(item.get("system")), text(item.get("value"))) for item in found)
    return [pair for pair in pairs if all(pair)]


class Found(NamedTuple):
    """A Reference, followed as far as it leads."""

    reference: Resource
    resource: Resource | None = None  #: None: it does not lead to anything that is here
    full_url: str = ""
    contained: bool = False  #: it lies inside the resource that refers to it

    @property
    def kind(self) -> str:
        return kind(self.reference, self.resource)

    @property
    def said(self) -> Resource | None:
        """The resource, else what the Reference itself says of it: its identifier, and its display as a name."""
        if self.resource is not None:
            return self.resource
        shown = text(self.reference.get("display"))
        names: Any = shown if self.kind == "Organization" else [{"text": shown}]
        said = {
            "resourceType": self.kind,
            "identifier": objects(self.reference.get("identifier")),
            "name": names if shown else None,
        }
        return {name: value for name, value in said.items() if value} or None

    def tells(self) -> tuple[bool, int]:
        """Return what compares as more where more is known."""
        return self.resource is not None, len(self.said or ())

    def same(self, other: Found) -> bool:
        """Tell whether both mean one person: the same resource, the same reference, or an identifier in common."""
        if self.kind and other.kind and self.kind != other.kind:
            return False
        if self.resource is not None and self.resource == other.resource:
            return True
        if any(ours == theirs or ours.endswith(f"/{theirs}") or theirs.endswith(f"/{ours}")
               for ours in self._names() for theirs in other._names()):  # fmt: skip
            return True
        return not set(self._identifiers()).isdisjoint(other._identifiers())

    def _names(self) -> Iterator[str]:
        said = literal(self.reference)
        if said and not said.startswith("#"):  # which means one thing in an Invoice, and another in its account
            yield said
        if self.resource is not None and not said.startswith(("#", "http")) and (id := text(self.resource.get("id"))):
            yield f"{self.kind}/{id}"

    def _identifiers(self) -> list[tuple[str, str]]:
        return [*identifiers(self.reference), *identifiers(self.resource or {})]


NOWHERE = Found({})


class Around:
    """The resources around one Invoice, or all of a Bundle, among which references are followed."""

    def __init__(self, around: Iterable[Any]) -> None:
        self._at: dict[str, Entry] = {}
        self._named: dict[tuple[str, str], list[Entry]] = {}
        self._identified: dict[tuple[str, str], list[Entry]] = {}
        for url, resource in map(entry, around):
            if not resource or (url and self._at.setdefault(_address(url), (url, resource))[1] is not resource):
                continue  # nothing, or an older version
            if id := text(resource.get("id")):
                self._named.setdefault((kind({}, resource), id), []).append((url, resource))
            for pair in identifiers(resource):
                self._identified.setdefault(pair, []).append((url, resource))

    def follow(self, reference: Any, *holders: Resource, base: str = "") -> Found:
        """Return what a Reference leads to. `holders` may contain it; `base` is the server of who refers, if known."""
        if not isinstance(reference, dict):
            return NOWHERE
        said = literal(reference)
        if said.startswith("#"):
            return Found(reference, _contained(said[1:], holders), contained=True)
        for fitting in self._fitting(reference, said, base):
            if fitting:
                (url, resource), *others = fitting
                alone = all(other == resource for _, other in others)
                return Found(reference, resource, url) if alone else Found(reference)
        return Found(reference)

    def _fitting(self, reference: Resource, said: str, base: str) -> Iterator[list[Entry]]:
        """Yield what fits, the best kind of fit first."""
        rest = _REST.fullmatch(said)
        yield self._where(said)
        if rest:
            if not rest["base"]:
                yield self._where(base + said)
            named = self._named.get((rest["type"], rest["id"]), [])
            yield [(url, resource) for url, resource in named if not (rest["base"] and url.startswith("http"))]
            same = self._where(f"urn:uuid:{rest['id']}")
            yield [(url, resource) for url, resource in same if kind({}, resource) == rest["type"]]
        elif not said:
            type = text(reference.get("type"))
            for pair in identifiers(reference):
                same = self._identified.get(pair, [])
                yield [(url, resource) for url, resource in same if type in ("", kind({}, resource))]

    def _where(self, url: str) -> list[Entry]:
        found = self._at.get(_address(url))
        return [found] if found else []


def _contained(id: str, holders: Sequence[Resource]) -> Resource | None:
    for holder in holders:
        for resource in objects(holder.get("contained")):
            if id and text(resource.get("id")).removeprefix("#") == id:
                return resource
    return None


def _address(url: str) -> str:
    """Return an address as it compares: no version, and a UUID in small letters."""
    return url.lower() if url[:9].lower() == "urn:uuid:" else literal({"reference": url})


def base_of(full_url: str) -> str:
    """Return the server in an entry's fullUrl, with the slash behind it; "" for a urn."""
    found = _REST.fullmatch(full_url)
    return f"{found['base']}/" if found and found["base"] else ""


class People(NamedTuple):
    """Whom an Invoice concerns."""

    subject: Found
    recipient: Found
    account: Found
    patient: Found  #: the subject; a recipient that is a patient, where there is none
    guarantor: Found  #: who pays, where that is not the patient: the recipient, else the account's first guarantor
    bill_to: Found  #: who else guarantees the account: the first who is neither of these

    def variables(self) -> dict[str, Resource | None]:
        """Return what FHIRPath may name."""
        found = {name: one.said for name, one in self._asdict().items()}
        return {**found, "payer": self.guarantor.resource or self.patient.said}

    def missing(self) -> tuple[str, ...]:
        """Return the references that say more of the payer, and lead to nothing that is here; most wanted first.

        An account is wanted for its guarantor only, so not where the Invoice names a recipient.
        """
        wanted = [self.guarantor, self.patient]
        if self.patient.resource is None and self.subject.kind != "Group":
            wanted.append(self.subject)
        if not self.recipient.reference:
            wanted.append(self.account)
        unknown = (fetchable(one.reference) for one in wanted if one.resource is None)
        return tuple(dict.fromkeys(filter(None, unknown)))


def people(around: Around, invoice: Resource, base: str = "") -> People:
    """Return whom an Invoice concerns. `base`: the server that it was read from, if known."""
    subject, recipient, account = _named(around, invoice, base)
    patient = subject if subject.reference and subject.kind != "Group" else NOWHERE
    if not patient.reference and recipient.kind == "Patient":
        patient = recipient
    guarantors = list(_guarantors(around, account, invoice, base))
    payer = recipient if recipient.reference else next(iter(guarantors), NOWHERE)
    if payer.same(patient):
        patient, payer = max(patient, payer, key=Found.tells), NOWHERE
    others = (one for one in guarantors if not one.same(patient) and not one.same(payer))
    return People(subject, recipient, account, patient, payer, next(others, NOWHERE))


def needed(around: Around, invoice: Resource, base: str = "") -> list[Resource]:
    """Return those around that an Invoice needs, as entries of a Bundle. What it contains it keeps itself."""
    named = _named(around, invoice, base)
    everybody = {
        id(one.resource): one
        for one in (*named, *_guarantors(around, named[2], invoice, base))
        if one.resource is not None and not one.contained
    }
    return [
        {"fullUrl": one.full_url, "resource": one.resource} if one.full_url else {"resource": one.resource}
        for one in everybody.values()
    ]


def _named(around: Around, invoice: Resource, base: str) -> tuple[Found, Found, Found]:
    subject, recipient, account = (
        around.follow(_first(invoice.get(name)), invoice, base=base) for name in ("subject", "recipient", "account")
    )
    return subject, recipient, account


def _first(value: Any) -> Any:
    """Return a Reference, or the first of a list of them: a ChargeItem has a list of accounts."""
    return value[0] if isinstance(value, list) and value else value


def _guarantors(around: Around, account: Found, invoice: Resource, base: str) -> Iterator[Found]:
    """Yield who guarantees an account, without those on hold."""
    resource = account.resource or {}
    for item in objects(resource.get("guarantor")):
        found = around.follow(item.get("party"), resource, invoice, base=base_of(account.full_url) or base)
        if found.reference and item.get("onHold") is not True:
            yield found
