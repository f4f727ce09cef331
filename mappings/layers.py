"""Where maps are found, and what they are built on: a site's file holds the differences, `extends:` names the rest.

What a map may name is shipped or lies beside it: a plain name, never a path. So a map opens no other file.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from chartpost.mappings.yamltext import Document, MapError, check

#: Where the shipped maps are.
_LIBRARY = "chartpost.mappings.library"
_SHIPPED = re.compile(r"[a-z0-9-]+")
_BESIDE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
#: Maps built on maps; more is a mistake, and a ring would never end.
_DEEPEST = 8
#: Bytes of one file.
_LARGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Layers:
    """A map file and all that it is built on: itself first, its base last."""

    documents: tuple[Document, ...]
    texts: dict[str, str] = field(default_factory=dict)  #: by file, also the tables that were read for it

    @property
    def top(self) -> Document:
        return self.documents[0]

    @property
    def name(self) -> str:
        return Path(self.top.file).stem

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that was read, as a path; shipped ones do not change and are left out."""
        return tuple(name for name in self.texts if "/" in name or Path(name).is_file())

    @property
    def version(self) -> str:
        """Eight hex digits of everything that was read: the same text, the same version."""
        whole = hashlib.sha256()
        for name, text in self.texts.items():
            whole.update(f"{Path(name).name}\0{text}\0".encode())
        return whole.hexdigest()[:8]

    def check(self) -> None:
        """Raise MapError with every problem noted in any of the files."""
        check(*self.documents)


def shipped() -> list[str]:
    """Return the names of the maps that come with Chartpost."""
    return sorted(one.name[:-5] for one in resources.files(_LIBRARY).iterdir() if one.name.endswith(".yaml"))


def read_file(name_or_path: str) -> tuple[str, str]:
    """Return a map's text and the name that problems call it by. Raises MapError when there is no such map."""
    found = resources.files(_LIBRARY).joinpath(f"{name_or_path}.yaml")
    if _SHIPPED.fullmatch(name_or_path) and found.is_file():
        return found.read_text("utf-8"), f"{name_or_path}.yaml"
    try:
        return _text(Path(name_or_path)), name_or_path
    except ValueError as error:
        problem = f"no shipped map of this name, and as a file: {error}; shipped: {', '.join(shipped())}"
        raise MapError([f"{name_or_path}:1:1: {problem}"]) from None


def read(name_or_path: str) -> Layers:
    """Return a map and what it extends. Raises MapError."""
    return layers(*read_file(name_or_path))


def layers(text: str, file: str) -> Layers:
    """Return the map of a text and what it extends, looked up beside `file`. Raises MapError."""
    document = Document(text, file)
    found, texts = [document], {file: text}
    while isinstance(document.data, dict) and document.data.get("extends") is not None:
        wanted = document.data["extends"]
        base = _base(document, wanted, texts) if isinstance(wanted, str) else None
        if base is None:
            if not isinstance(wanted, str):
                document.report(("extends",), "`extends` names one map")
            break
        text, file = base
        document = Document(text, file)
        found.append(document)
        texts[file] = text
        if len(found) > _DEEPEST:
            found[0].report(("extends",), f"maps built on more than {_DEEPEST} others")
            break
    return Layers(tuple(found), texts)


def _base(document: Document, wanted: str, known: dict[str, str]) -> tuple[str, str] | None:
    """Return text and name of the map that a map extends; None, with the problem noted, when there is none."""
    where = ("extends",)
    try:
        if _SHIPPED.fullmatch(wanted) and wanted in shipped():
            base = read_file(wanted)
        else:
            file = beside(document.file, wanted)
            base = _plain(Path(file)), file
    except ValueError as error:
        document.report(where, f"{wanted!r}: {error}; shipped: {', '.join(shipped())}")
        return None
    if base[1] in known:
        document.report(where, f"{wanted!r} is built on this map itself")
        return None
    return base


def beside(file: str, name: str) -> str:
    """Return the path of a file that lies beside another. Raises ValueError unless `name` is a plain file name."""
    if not _BESIDE.fullmatch(name):
        raise ValueError("a map names only files in its own folder, by their plain names")
    return str(Path(file).parent / name)


def read_beside(layers: Layers, document: Document, name: str) -> str:
    """Return the text of a file beside one of the map's own, and count it as part of the map. Raises ValueError."""
    file = beside(document.file, name)
    text = layers.texts[file] = _plain(Path(file))
    return text


def _plain(path: Path) -> str:
    """Return the text of a file that a map names. Raises ValueError, also for a device or pipe: it may never end."""
    if path.exists() and not path.is_file():
        raise ValueError("not a plain file")
    return _text(path)


def _text(path: Path) -> str:
    """Return a file's text. Raises ValueError with the reason."""
    try:
        if path.is_file() and path.stat().st_size > _LARGEST:
            raise ValueError(f"larger than {_LARGEST} bytes")
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except OSError as error:
        raise ValueError(error.strerror or type(error).__name__) from None
