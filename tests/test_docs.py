"""What the documents tell users to type exists: commands, options, files. docs/modules.md is as the modules say.

python -m tests.test_docs       # writes docs/modules.md anew
"""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from realtime import cli

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
COMMAND = re.compile(r"\bvoxcam ((?:[a-z]+-)*[a-z]+)((?: [^\n`|&]*)?)")
WORDS = {"is", "can", "does", "makes", "with", "for", "and", "in", "before"}  # prose after the name, not commands


def typed(page: Path) -> list[tuple[str, str]]:
    """(command, rest of the line) of everything in code spans and indented blocks that begins with voxcam."""
    text = page.read_text()
    code = re.findall(r"`([^`\n]+)`", text) + [line for line in text.splitlines() if line.startswith("    ")]
    return [match.groups() for part in code for match in COMMAND.finditer(part.split("#")[0])]  # type: ignore[misc]


def options_of(name: str, rest: str) -> set[str]:
    """What `voxcam NAME` takes, or the command of a group that the rest of the line names: `bench latency --seconds`.

    KeyError where the group has no such command.
    """
    command = cli.load_command(name)
    words = rest.split()
    while hasattr(command, "commands") and words and re.fullmatch("[a-z][a-z0-9-]*", words[0]):
        command = command.commands[words.pop(0)]
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page: Path) -> None:
    known = set(cli.COMMANDS) | {entry.name for entry in cli._entries()}
    for name, rest in typed(page):
        if name in WORDS:
            continue
        assert name in known, f"{page.name}: voxcam {name}"
        known_options = options_of(name, rest) | {"--help"}
        for option in re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", rest):
            assert option in known_options, f"{page.name}: voxcam {name}{rest}: {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_loads_and_says_what_it_does(name: str) -> None:
    command = cli.load_command(name)
    assert command.help or getattr(command, "commands", None)


# ---- `python -m train.face.unsmile DATA`: commands that are modules ----

MODULE = re.compile(r"\bpython3? -m ((?:train|bench|engines|realtime|tests)(?:\.[a-z_0-9]+)*)((?: [^\n`|&]*)?)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_are_run_exist_and_know_their_options(page: Path) -> None:
    for name, rest in MODULE.findall(page.read_text()):
        found = importlib.util.find_spec(name)
        assert found is not None, f"{page.name}: python -m {name}"
        if found.submodule_search_locations is not None or name == "realtime":
            continue  # a package's command is voxcam's own, checked above
        assert found.origin is not None
        source = Path(found.origin).read_text()
        assert '__name__ == "__main__"' in source, f"{page.name}: python -m {name} does nothing"
        for option in re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", rest.split("#")[0]):
            parameter = option.removeprefix("--").replace("-", "_")  # as typer names its options
            known = f'"{option}"' in source or re.search(rf"\b{parameter}: ", source)
            assert known, f"{page.name}: python -m {name}: {option}"


# ---- docs/modules.md ----

ROOMS = ("realtime", "engines", "train", "bench")


def first_sentence(module: Path) -> str:
    told = ast.get_docstring(ast.parse(module.read_text())) or ""
    return re.split(r"(?<=[.?!])\s", " ".join(told.split("\n\n")[0].split()))[0].replace("|", "\\|")


def modules_page() -> str:
    """Every module and the first sentence of its docstring, by folder."""
    lines = [
        "# Every module, in a line",
        "",
        "The first sentence of each one's own docstring (`python -m tests.test_docs` writes this page). How they hang",
        "together: [architecture.md](architecture.md).",
    ]
    for room in ROOMS:
        folders = sorted({path.parent for path in (ROOT / room).rglob("*.py")})
        for folder in folders:
            modules = [path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
            if modules:
                lines += ["", f"## {folder.relative_to(ROOT).as_posix()}/", "", "| module | what |", "|---|---|"]
                lines += [f"| {path.name} | {first_sentence(path)} |" for path in modules]
    return "\n".join(lines) + "\n"


def test_every_module_is_in_the_list_of_modules() -> None:
    assert (ROOT / "docs" / "modules.md").read_text() == modules_page(), "python -m tests.test_docs"


if __name__ == "__main__":
    (ROOT / "docs" / "modules.md").write_text(modules_page())
