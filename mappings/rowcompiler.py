"""The parts of one row of a map, compiled: its paths, its chain of transforms, its default; and conditions.

Each notes its problems at their place in the file and goes on, so that all are told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points

from chartpost.mappings import transforms
from chartpost.mappings.conditions import Condition, compile_condition
from chartpost.mappings.dialect import Dialect
from chartpost.mappings.paths import AnyPath
from chartpost.mappings.tables import Table
from chartpost.mappings.transforms import Shape, Step, Transform
from chartpost.mappings.yamltext import Document, Where

#: Entry points of packages that bring transforms: each loads a chartpost.mappings.chain.Transform.
PLUGINS = "chartpost.transforms"


def condition(
    document: Document, where: Where, text: str, known: tuple[str, ...], mine: frozenset[str]
) -> Condition | None:
    """Return the compiled condition; None, with the problem noted, where it is none."""
    try:
        return compile_condition(text, known, mine)
    except ValueError as error:
        document.report(where, str(error))
        return None


def check_default(
    document: Document,
    where: Where,
    default: str,
    shape: Shape,
    steps: Sequence[Step],
    tables: Mapping[str, Table],
) -> None:
    """Note a default that its own row could not read."""
    if shape in ("contacts", "verbatim"):
        document.report(where, f"a target that needs {shape} cannot have a default")
        return
    if steps and steps[0].transform.collects:
        return
    try:
        transforms.apply(steps, default, transforms.Context("USD", "US", "UTC", tables=tables))
    except transforms.Rejected as error:
        document.report(where, error.cause)
    except KeyError:
        pass  # the table that it names is missing: reported with the transform


def paths(
    document: Document, compile_one: Callable[[str], AnyPath], where: Where, texts: Sequence[str]
) -> tuple[AnyPath, ...]:
    """Return the compiled paths; what is none is noted and left out."""
    found = []
    for index, text in enumerate(texts):
        try:
            found.append(compile_one(text))
        except ValueError as error:
            document.report((*where, index), str(error))
    return tuple(found)


def _transform(dialect: Dialect, name: str) -> Transform | None:
    """Return a transform by its name: ours, else one that an installed package brings."""
    found = dialect.transforms.get(name)
    if found is None:
        for point in entry_points(group=PLUGINS, name=name):
            loaded = point.load()
            if isinstance(loaded, Transform):
                return loaded
    return found


def steps(
    document: Document,
    dialect: Dialect,
    where: Where,
    chain: Sequence[str] | None,
    shape: Shape,
    tables: Mapping[str, Table],
) -> tuple[Step, ...]:
    """Compile a chain such as `[strip, table kinds]`. Left out, it is the one that the target's shape asks for."""
    place = (*where, "transform")
    if chain is None:
        chain = [] if shape == "text" else [shape]
    steps: list[Step] = []
    for index, text in enumerate(chain):
        name, _, words = text.partition(" ")
        transform = _transform(dialect, name)
        if transform is None:
            document.report((*place, index), f"unknown transform {name!r}; known: {', '.join(dialect.transforms)}")
            return ()
        argument = None
        if words.strip() and transform.parse is None:
            document.report((*place, index), f"transform {name} takes nothing after it")
        elif words.strip() or (transform.parse is not None and not transform.bare):
            try:
                argument = transform.parse(words.strip()) if transform.parse is not None else None
            except ValueError as error:
                document.report((*place, index), f"transform {name} {error}")
            if name == "table" and argument is not None and argument not in tables:
                document.report((*place, index), f"there is no table {argument!r} under `tables:`")
        if steps and steps[-1].transform.gives != "text":
            document.report((*place, index), f"nothing can follow {chain[index - 1]}: it gives no text")
        if steps and (name in ("contacts", "verbatim") or transform.collects):
            document.report((*place, index), f"{name} reads the fields themselves: it must come first")
        steps.append(Step(transform, argument))
    gives = steps[-1].transform.gives if steps else "text"
    if gives != shape:
        document.report(place, f"this target needs {shape}, and the transforms give {gives}")
    return tuple(steps)
