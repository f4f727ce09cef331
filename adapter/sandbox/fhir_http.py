"""A FHIR request and its answer, as HTTP has them: content types, sizes, versions, preferences."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from .fhir_json import Issue, Refused, Resource, encode
from .fhir_store import Version

_LONGEST = 1024 * 1024


def base_of(request: Request) -> str:
    url = request.url
    return f"{url.scheme}://{url.netloc}/fhir"


async def body_of(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/fhir+json", "application/json"):
        raise Refused(415, Issue("not-supported", "send application/fhir+json"))
    kept = bytearray()
    async for part in request.stream():
        kept += part
        if len(kept) > _LONGEST:
            raise Refused(413, Issue("too-long", f"at most {_LONGEST} bytes are taken"))
    return bytes(kept)


def of_type(resource: Resource, type: str) -> Resource:
    if resource["resourceType"] != type:
        raise Refused(400, Issue("invalid", "resourceType is not that of the address", "resourceType"))
    return resource


def preferred(request: Request, version: Version) -> Resource | None:
    return None if "return=minimal" in request.headers.get("prefer", "") else version.resource


def headers_of(version: Version, base: str = "") -> dict[str, str]:
    headers = {"ETag": version.etag, "Last-Modified": version.at.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    where = f"{base}/{version.reference}/_history/{version.number}"
    return headers | ({"Location": where} if base else {})


def reply(status: int, resource: Resource | None, headers: dict[str, str] | None = None) -> Response:
    body = b"" if resource is None else encode(resource)
    return Response(body, status, headers, media_type="application/fhir+json; charset=utf-8")
