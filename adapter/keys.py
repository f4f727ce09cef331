"""The keys of our own, made once in the data directory and readable by nobody else."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from chartpost.adapter.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Keys:
    """32 bytes each: `link` makes links' tokens, `searching` the hash columns, `sealing` encrypts (None: plain)."""

    link: bytes = field(repr=False)
    searching: bytes = field(repr=False)
    sealing: bytes | None = field(repr=False)


def data_keys(data: Path, *, make: bool = True) -> Keys:
    """Return the keys in `data`; with `make`, create the directory (mode 0700) and missing keys (mode 0600).

    DATA/sealing.key is never made: from the moment it is there, personal columns are encrypted with it. Raises
    ConfigurationError naming every key that is missing beside an existing ledger, unreadable, or open to others.
    """
    problems: list[str] = []
    if make:
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError([f"{data}: cannot be made: {error.strerror}; choose another --data"]) from None
        # Links and hashes of an existing ledger only work with the keys they were made with.
        if not (data / "chartpost.db").exists():
            for name in ("link.key", "searching.key"):
                if not (data / name).exists():
                    keep(data / name, secrets.token_hex(32).encode() + b"\n")
    link = _read(data / "link.key", problems)
    searching = _read(data / "searching.key", problems)
    sealing = _read(data / "sealing.key", problems) if (data / "sealing.key").exists() else None
    if problems:
        raise ConfigurationError(problems)
    return Keys(link=link, searching=searching, sealing=sealing)


def keep(path: Path, secret: bytes) -> None:
    """Write a file that nobody else can read (mode 0600); it is there whole, or not at all."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _read(path: Path, problems: list[str]) -> bytes:
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii").strip()
    except FileNotFoundError:
        problems.append(f"{path}: is missing; restore it from your backup, the ledger beside it was made with it")
        return b""
    except (OSError, UnicodeDecodeError):
        problems.append(f"{path}: cannot be read as text; it must hold 64 hexadecimal digits")
        return b""
    if mode & 0o077:
        problems.append(f"{path}: others may read it; run `chmod 600 {path}`")
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        problems.append(f"{path}: must hold 64 hexadecimal digits; restore it, or for a new one `openssl rand -hex 32`")
    return key
