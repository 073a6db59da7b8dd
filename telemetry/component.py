"""From a component's name in the configuration to its module, imported only when it is configured.

A component module is a docstring, a frozen ``Config`` struct (every option described and bounded), ``build()``, and
one class with one verb. Its file name is its ``type``; there is no table to edit, and an unused dependency is never
loaded.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from types import ModuleType

from telemetry.errors import ConfigError, MissingExtra, Problem


def names(package: str) -> list[str]:
    """The types that exist in a package such as ``agent.inputs``, without importing them."""
    path = importlib.import_module(package).__path__
    return sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_"))


def load(package: str, name: str, where: str = "", line: int = 0) -> ModuleType:
    """Import one component. Raises ConfigError for an unknown name, MissingExtra for a missing dependency."""
    known = names(package)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(known)
        raise ConfigError([Problem(where or package, line, "type", f"there is no {package} named {name!r}", hint)])
    try:
        return importlib.import_module(f"{package}.{name}")
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] not in {"agent", "collector", "telemetry"}:
            raise MissingExtra(f"{package}.{name}", package.partition(".")[0]) from error
        raise
