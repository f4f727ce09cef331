"""Addresses of their own that practices give to their links: whoever comes by one must find the same pages.

Pages know by the host alone under which path they are reached, so one host has one path, whoever names it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from chartpost.adapter.problems import Problems
from chartpost.adapter.values import is_loopback
from chartpost.adapter.yamlfile import YamlFile


def check(file: YamlFile, problems: Problems) -> None:
    """Look whether `pay_url` of every facility can lead to `web`, beside `public_url` and the others."""
    doors = {str(file.data.get("internal", "127.0.0.1:8081")): "internal"}
    taken = {_host(file.data.get("public_url")): ("public_url", _path(file.data.get("public_url")))}
    facilities = file.data.get("facilities")
    for name, part in facilities.items() if isinstance(facilities, dict) else ():
        own = part.get("pay_url") if isinstance(part, dict) else None
        host, at = _host(own), ("facilities", name, "pay_url")
        if not host:
            continue
        if host in doors:
            problems.add(at, f"is the address of {doors[host]}, which is not for patients; it must lead to web")
        other, path = taken.setdefault(host, (".".join(at), _path(own)))
        if path != _path(own):
            problems.add(at, f"has the host of {other} and another path; let both have one path, or a host each")
        if file.data.get("sandbox") is not None and not is_loopback(urlsplit(str(own)).hostname or ""):
            problems.add(at, "patients would meet a pretended card page there; remove `sandbox:`")


def _host(url: Any) -> str:
    return urlsplit(url).netloc.lower() if isinstance(url, str) else ""


def _path(url: Any) -> str:
    return urlsplit(url).path.rstrip("/") if isinstance(url, str) else ""
