"""Find a plugin by the `type` that the configuration names. Ours come through the same door as everybody's.

A plugin is an entry point that names a module with two things in it: `Options`, a pydantic model of the plugin's part
of the configuration (`type` among it, unknown keys refused), and `from_settings(options)`, which makes the object of
ports.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoints, entry_points
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from chartpost.adapter.errors import ConfigurationError

PROVIDERS = "chartpost.providers"
NOTIFIERS = "chartpost.notifiers"
SENDERS = "chartpost.senders"

Factory = Callable[[Any], Any]
#: What every destination may say, whatever its type (settings.Destination): its plugin is not told.
SHARED = {SENDERS: frozenset(["batch", "consents", "shadow"])}


def load(group: str, type_name: str) -> Factory:
    """Return `from_settings` of one type. Raises ConfigurationError: what is installed instead, or what is broken."""
    module = _module(group, type_name)
    factory: Factory | None = getattr(module, "from_settings", None)
    if factory is None:
        raise ConfigurationError([f"type {type_name!r}: {module.__name__} has no from_settings(options)"])
    return factory


def options_model(group: str, type_name: str) -> type[BaseModel]:
    """Return the model of one type's part of the configuration. Raises ConfigurationError as `load` does."""
    module = _module(group, type_name)
    model = getattr(module, "Options", None)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise ConfigurationError([f"type {type_name!r}: {module.__name__} has no pydantic model Options"])
    return model


def own(group: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a plugin's own model is to check of the options that stand in the configuration."""
    return {name: value for name, value in options.items() if name not in SHARED.get(group, ())}


@lru_cache(maxsize=16)
def _installed(group: str, path: tuple[str, ...]) -> EntryPoints:
    """Return what is installed: a look through every package of `path`, so one look will do."""
    return entry_points(group=group)


def _module(group: str, type_name: str) -> ModuleType:
    found = _installed(group, tuple(sys.path))
    chosen = {point.value: point for point in found.select(name=type_name)}  # a package may be seen twice on the path
    if not chosen:
        known = ", ".join(sorted({point.name for point in found})) or "none"
        raise ConfigurationError([f"unknown type {type_name!r}; installed: {known}"])
    if len(chosen) > 1:
        raise ConfigurationError([f"type {type_name!r} is claimed by several packages: {', '.join(sorted(chosen))}"])
    [(name, point)] = chosen.items()
    try:
        loaded = point.load()
    except Exception as error:
        # Somebody else's code: whatever its import raises, the administrator must hear which plugin it was.
        problem = f"type {type_name!r}: {name} does not load: {type(error).__name__}: {error}"
        raise ConfigurationError([problem]) from error
    if not isinstance(loaded, ModuleType):
        raise ConfigurationError([f"type {type_name!r}: {name} names no module"])
    return loaded
