"""What the documents tell users to type exists: commands, options, files."""

from __future__ import annotations

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
