"""Resources of other people's systems through the shipped map: every Invoice is read, or says what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chartpost.mappings import mapfile
from chartpost.mappings.fhir import jsontext
from chartpost.mappings.fhir.bundle import pack, parts, unpack
from chartpost.mappings.fhir.read import STATUSES, Unreadable, identity, read

CORPUS = os.environ.get("CHARTPOST_CORPUS", "")
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS, reason="CHARTPOST_CORPUS does not point at a folder with fhir/"),
]


def texts(path: Path) -> list[bytes]:
    """Return what the door would store of a file: it, or each resource of a Bundle with what that needs."""
    body = path.read_bytes()
    resource = jsontext.decode(body)
    assert jsontext.decode(jsontext.encode(resource)) == resource, path.name
    if resource["resourceType"] != "Bundle":
        return [body]
    return [pack(part.resource, part.around) for part in parts(resource) if part.resource]


def test_every_public_invoice_is_read_and_everything_else_told_apart():
    shipped = mapfile.load("fhir-invoice")
    where = {"currency": "EUR", "region": "DE", "timezone": "Europe/Berlin"}
    files = sorted((Path(CORPUS) / "fhir").glob("*.json"))
    assert files, "the corpus has no resources"
    invoices = 0
    for path, text in [(file, text) for file in files for text in texts(file)]:
        invoice, around = unpack(text)
        if invoice["resourceType"] != "Invoice":
            with pytest.raises(Unreadable, match="no resource that map fhir-invoice reads"):
                read(invoice, shipped, **where, around=around)
            continue
        invoices += 1
        try:
            found = read(invoice, shipped, **where, around=around)
        except Unreadable as error:
            if not error.problems:
                raise
            continue
        assert found.status in STATUSES, path.name
        assert (found.namespace, found.account) == identity(invoice, shipped), path.name
        assert found.patient.family or found.missing, f"{path.name}: nobody, and nobody to fetch"
        assert found.charges or found.status != "issued", path.name
    assert invoices, "not one Invoice in the corpus"
