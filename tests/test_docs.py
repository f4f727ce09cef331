"""The documents say what the code does: links, commands, settings, maps, acknowledgements and causes are compared."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from ruamel.yaml import YAML
from typer.testing import CliRunner

from chartpost.adapter import cli, plugins, policy, settings, users
from chartpost.adapter.flow import ERRANDS, TRANSLATE
from chartpost.adapter.notifiers import twilio
from chartpost.adapter.senders.mllp import VERDICTS
from chartpost.mappings import layers, mapfile, mapspec, postingmap
from chartpost.mappings.fhir import postingmap as fhir
from chartpost.mappings.fhir.versions import Version
from chartpost.mappings.flat import postingmap as flat
from chartpost.mappings.hl7.ack import answer, application_wanted
from chartpost.mappings.hl7.header import peek
from chartpost.mappings.transforms import TRANSFORMS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
IDS = [str(page.relative_to(ROOT)) for page in PAGES]

every_page = pytest.mark.parametrize("page", PAGES, ids=IDS)


def said(page: str) -> str:
    return (DOCS / page).read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """Everything but fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def inline(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(text))


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every row of every table, without the row under the head."""
    for line in prose(text).splitlines():
        if line.startswith("|") and not re.fullmatch(r"[|\s-]+", line):
            yield [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def section(text: str, heading: str) -> str:
    """What stands below a heading, down to the next one of its level."""
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no section {heading}"
    return found[1]


def anchors(text: str) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


# ------------------------------------------------------------------------------------------------- links and files


@every_page
def test_every_link_leads_to_something_that_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text("utf-8"))):
        assert not target.startswith("http"), f"{target}: pages of others move; say what to look for instead"
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name}: {target} is not there"
        if anchor:
            assert anchor in anchors(there.read_text("utf-8")), f"{page.name}: {target} has no such heading"


@every_page
def test_every_file_that_is_named_exists(page: Path) -> None:
    tops = "adapter|mappings|queues|samples|tests|docs|\\.ci"
    for name in inline(page.read_text("utf-8")):
        if re.fullmatch(rf"(?:{tops})/[\w./-]*", name):
            assert (ROOT / name).exists(), f"{page.name}: {name} is not there"


def test_every_document_can_be_reached_from_the_first_page() -> None:
    reached, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
            todo.append((page.parent / target).resolve())
    assert set(PAGES) - reached == set()


# ------------------------------------------------------------------------------------------------- the command line

GROUP = typer.main.get_command(cli.app)
COMMANDS: dict[str, Any] = getattr(GROUP, "commands", {})


@every_page
def test_every_command_that_is_shown_can_be_given(page: Path) -> None:
    if page.name == "first-map.md":
        return  # test_first_map.py gives them, where the files are that they name
    text = page.read_text("utf-8")
    shown = [line.removeprefix("$ ") for block in blocks(text, r"(?:sh|text|ini)") for line in block.splitlines()]
    found = [line.partition("chartpost ") for line in shown if re.match(r"(ExecStart=)?\S*\bchartpost ", line)]
    calls = [shlex.split(rest, comments=True) for _, _, rest in found]
    # In running text only what says a whole command: `chartpost trace H1`, not `chartpost trace ID`.
    calls += [shlex.split(name)[1:] for name in inline(text) if re.match(r"chartpost [a-z-]", name)]
    for call in calls:
        command, *options = call
        if command == "--version":
            continue
        assert command in COMMANDS, f"{page.name}: there is no `chartpost {command}`"
        if command == "sandbox":  # another program, with options of its own
            continue
        if command in ("lint", "trace") and not options:
            options = ["M1"]
        # Parses as the real command line does, and runs nothing. Raises for an option that is not there.
        with COMMANDS[command].make_context(command, options):
            pass
        second: dict[str, Any] = getattr(COMMANDS[command], "commands", {})
        if second and options and not options[0].startswith("-"):
            assert options[0] in second, f"{page.name}: there is no `chartpost {command} {options[0]}`"
            if options[1:]:
                with second[options[0]].make_context(options[0], options[1:]):
                    pass


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"sandbox"}))
def test_every_command_has_help_and_is_in_the_reference(command: str) -> None:
    assert CliRunner().invoke(cli.app, [command, "--help"]).exit_code == 0
    assert f"chartpost {command}" in said("reference/cli.md") or f"`chartpost {command}`" in said("reference/cli.md")


@every_page
def test_every_make_target_that_is_shown_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    shown = [*inline(text), *(line for block in blocks(text, "sh") for line in block.splitlines())]
    for line in shown:
        if found := re.match(r"make ([a-z-]+)", line):
            assert found[1] in targets, f"{page.name}: there is no `{found[0]}`"


# -------------------------------------------------------------------------------------------------- configuration


def models() -> dict[str, type[BaseModel]]:
    """Every part of the configuration by its heading: ours, and the options of every plugin that is installed."""
    from importlib.metadata import entry_points

    groups = {"destinations": plugins.SENDERS, "providers": plugins.PROVIDERS, "notifiers": plugins.NOTIFIERS}
    found: dict[str, type[BaseModel]] = {
        "Top level": settings.Settings,
        "facilities.NAME": settings.Facility,
        "facilities.NAME.mail": settings.Mail,
        "facilities.NAME.amounts": policy.Amounts,
        "facilities.NAME.plans": policy.Plans,
        "facilities.NAME.reminders": policy.Reminders,
        "facilities.NAME.quiet": policy.Quiet,
        "users.NAME": users.User,
        "sources.NAME.guard": settings.Guard,
        "sources.NAME.shadow": settings.SourceShadow,
        "destinations.NAME.shadow": settings.Shadow,
        "sources.NAME, type: mllp": settings.MllpSource,
        "sources.NAME, type: fhir": settings.FhirSource,
        "sources.NAME.poll": settings.FhirPoll,
        "sources.NAME, type: broker": settings.BrokerSource,
        "sources.NAME, type: directory": settings.DirectorySource,
        "destinations.NAME": settings.Destination,
        "notifiers.NAME.registration": twilio.Registration,
        "sandbox": settings.Sandbox,
    }
    for part, group in groups.items():
        for point in entry_points(group=group):
            if point.value.startswith("chartpost."):
                found[f"{part}.NAME, type: {point.name}"] = plugins.options_model(group, point.name)
    return found


def default(field: FieldInfo) -> str:
    """A default as the tables write it."""
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        return "see below"  # it has a table of its own
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, tuple):
        value = f"[{', '.join(map(str, value))}]"
    text = {"": '""', "False": "false", "True": "true"}.get(str(value), str(value))
    return f"`{text}`"


@pytest.mark.parametrize("heading", sorted(models()))
def test_every_setting_stands_in_the_reference_with_its_default(heading: str) -> None:
    fields = models()[heading].model_fields
    table = {cells[0]: cells[1] for cells in rows(section(said("reference/configuration.md"), heading))}
    table.pop("key")
    assert table == {f"`{name}`": default(field) for name, field in fields.items()}


def test_every_word_of_a_setting_stands_in_its_row() -> None:
    text = said("reference/configuration.md")
    for heading, model in models().items():
        told = {cells[0].strip("`"): cells[-1] + cells[1] for cells in rows(section(text, heading))}
        for name, field in model.model_fields.items():
            for word in get_args(field.annotation):
                if isinstance(word, str):
                    assert f"`{word}`" in told[name], f"{heading}.{name}: {word}"


#: The shipped maps of what goes out.
POSTING_MAPS = {name for name in layers.shipped() if "writes" in (layers.read(name).top.data or ())}


def merged(base: Any, over: Any) -> Any:
    """Lay a fragment over what it belongs to: mappings by key, lists appended, the rest replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}
    return over


def written(tmp_path: Path, data: Any) -> Path:
    path = tmp_path / "site.yaml"
    YAML(typ="safe").dump(data, path)
    return path


@every_page
def test_every_piece_of_yaml_is_something_that_loads(page: Path, tmp_path: Path) -> None:
    text = page.read_text("utf-8")
    (tmp_path / "secrets").mkdir()
    for name in re.findall(r"_file: (\S+)", text):
        (tmp_path / name).write_text("sk_test_of_the_docs\n")
    for name in re.findall(r"^    map: ([\w-]+\.yaml)$", text, re.MULTILINE):
        (tmp_path / name).write_text("extends: hl7v2-dft\n")
    for block in blocks(text, "yaml"):
        data = YAML(typ="safe").load(block)
        keys = set(data)
        if {"facilities", "sources"} <= keys:
            settings.load(written(tmp_path, data), {})
        elif keys <= set(settings.Settings.model_fields):
            embedded = YAML(typ="safe").load((ROOT / "samples/config/embedded.yaml").read_text("utf-8"))
            settings.load(written(tmp_path, merged(embedded, data)), {})
        elif "writes" in keys or data.get("extends") in POSTING_MAPS:
            postingmap.parse(block)
        elif keys <= set(postingmap.PostingSpec.model_fields) - {"note", "tables"}:
            shipped = YAML(typ="safe").load(mapfile.read_file("hl7v2-dft-payment")[0])
            postingmap.parse(written(tmp_path, merged(shipped, data)).read_text("utf-8"))
        else:
            assert keys <= set(mapspec.MapSpec.model_fields), f"{page.name}: what is this? {sorted(keys)}"
            for name in re.findall(r"file: (\w+\.csv)", block):
                (tmp_path / name).write_text("code,meaning\nZZ,charge\n")
            whole = "extends" in keys or {"messages", "account"} <= keys
            mapfile.parse(block if whole else f"extends: hl7v2-dft\n{block}", str(tmp_path / "site.yaml"))


# ------------------------------------------------------------------------------------------------------------ maps


def first_column(text: str) -> set[str]:
    return {name for cells in rows(text) for name in re.findall(r"`([^`]+)`", cells[0])}


def test_every_target_of_a_map_stands_in_the_reference_with_its_kind() -> None:
    text = section(said("reference/map.md"), "Charges")
    kinds = {name: cells[1] for cells in rows(text) for name in re.findall(r"`([^`]+)`", cells[0])}
    for target, shape in {**mapfile.MESSAGE_TARGETS, **mapfile.CHARGE_TARGETS}.items():
        assert kinds[target] == shape, target


def test_every_transform_stands_in_the_reference_with_what_it_gives() -> None:
    gives = {cells[0].strip("`").split()[0]: cells[1] for cells in rows(section(said("reference/map.md"), "Charges"))}
    for name, transform in TRANSFORMS.items():
        assert gives[name] == transform.gives, name


def test_every_key_and_value_of_both_kinds_of_map_stands_in_the_reference() -> None:
    charges = first_column(section(said("reference/map.md"), "Charges"))
    postings = first_column(said("reference/posting-map.md"))
    assert charges >= {
        *mapspec.MapSpec.model_fields,
        *mapspec.RowSpec.model_fields,
        *mapspec.TableSpec.model_fields,
        *mapspec.StopSpec.model_fields,
    }
    assert postings >= {*postingmap.PostingSpec.model_fields, *postingmap.OutRowSpec.model_fields}
    assert postings >= {*postingmap.KindSpec.model_fields, *postingmap.VALUES}
    assert postings >= {*fhir.FhirPostingSpec.model_fields, *fhir.FhirRowSpec.model_fields, *fhir.VALUES}
    assert postings >= {*flat.FlatPostingSpec.model_fields, *flat.FlatRowSpec.model_fields, *flat.VALUES}
    assert postings >= POSTING_MAPS
    assert all(version in said("reference/posting-map.md") for version in (*postingmap.VERSIONS, *get_args(Version)))


# ------------------------------------------------------------------------------------------- what the flow promises


def test_the_walk_names_every_errand_and_the_file_that_does_it() -> None:
    files = {cells[0].strip("`"): cells[2].strip("`") for cells in rows(said("walk.md")) if len(cells) == 3}
    assert files.keys() - {"kind"} == {TRANSLATE, *ERRANDS}
    for kind, file in files.items():
        if kind != "kind":
            assert (ROOT / file).exists()


def causes() -> set[str]:
    """Every cause for which the code opens a hold, read from its source."""
    found: set[ast.AST] = set()
    for path in [*(ROOT / "adapter/flow").rglob("*.py"), *(ROOT / "adapter/ledger").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="holds"), attr="add"), args=[_, _, cause, *_]):
                    found.add(cause)
                case ast.Call(func=ast.Name(id="_held"), args=[cause, *_]):
                    found.add(cause)
                case ast.Tuple(elts=[ast.Constant() as cause, ast.Constant(value=str(text)), _]) if " " in text:
                    found.add(cause)  # (cause, text, fix)
                case ast.Tuple(elts=[ast.Constant() as cause, ast.JoinedStr() | ast.Name(id="text"), _]):
                    found.add(cause)
                case ast.Tuple(elts=[ast.JoinedStr(), ast.Constant() as cause, _, _, _, *_]):
                    found.add(cause)  # the door's own row: (object, cause, text, fix, state, at)
    constants = {str(node.value) for node in found if isinstance(node, ast.Constant)}
    return {text for text in constants if re.fullmatch(r"[a-z]+(_[a-z]+)*", text)}


def test_every_cause_of_a_hold_is_explained() -> None:
    explained = first_column(section(said("admin/holds.md"), "Every cause"))
    assert len(causes()) > 20
    assert causes() - explained == set()
    code = "".join(path.read_text("utf-8") for path in (ROOT / "adapter").rglob("*.py"))
    assert {cause for cause in explained if f'"{cause}"' not in code} == set()


def test_the_table_of_acknowledgements_is_what_the_door_answers() -> None:
    table = list(rows(section(said("integration/mllp.md"), "Original and enhanced mode")))[1:]
    assert len(table) > 10
    for accept, application, *said_codes, later in table:
        header = peek(f"MSH|^~\\&|A|B|C|D|2026||DFT^P03|1|P|2.5.1|||{accept}|{application}\r".encode())
        assert [answer(header, code) or "silence" for code in ("AA", "AE", "AR")] == said_codes, (accept, application)
        assert ("AA" if application_wanted(header) else "") == later, (accept, application)


def test_the_table_of_answers_is_what_the_sender_believes() -> None:
    table = {cells[0]: cells[1].strip("`") for cells in rows(section(said("integration/postings.md"), "Answers"))}
    assert {code: table[code] for code in VERDICTS} == {code: verdict.value for code, verdict in VERDICTS.items()}


# ---------------------------------------------------------------------------------------------------------- pictures


def test_the_drawing_of_the_loop_is_the_one_that_the_command_draws() -> None:
    from runpy import run_path

    drawn = run_path(str(DOCS / "draw_loop.py"))["loop"]()
    assert (DOCS / "pictures/loop.svg").read_text("utf-8") == drawn


def test_pictures_are_small() -> None:
    assert all(path.stat().st_size <= 300_000 for path in (DOCS / "pictures").iterdir())
