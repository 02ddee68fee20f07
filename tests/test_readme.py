"""README.md's table of commands against the commands themselves."""

import re
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from compress.cli import app

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
GROUP = get_command(app)
assert isinstance(GROUP, TyperGroup)
COMMANDS = GROUP.commands
ROWS = dict(re.findall(r"^\| `compress (\w+) ([^`]*)`", README, re.MULTILINE))


def test_every_command_has_a_row() -> None:
    assert set(ROWS) == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_row_has_the_options_that_the_command_has_and_no_others(name: str) -> None:
    own = {option for it in COMMANDS[name].params if it.param_type_name == "option" for option in it.opts}
    off = {option for it in COMMANDS[name].params for option in it.secondary_opts}
    assert set(re.findall(r"--[a-z-]+", ROWS[name])) == own - {"--help"} | off
