"""The tables of docs/reference/commands.md: every command of ours, with what its `--help` says."""

from __future__ import annotations

import argparse
from pathlib import Path

from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from ami.worker.cli import parser as worker_parser
from config.docs.tables import table

ROOT = Path(__file__).resolve().parent.parent.parent
BEGIN = "<!-- made from code by python -m config.docs: begin -->\n"
END = "<!-- made from code: end -->\n"


def page(current: str) -> str:
    """The page with the part between the two marks made anew; what people wrote around it stays."""
    before, begin, rest = current.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"docs/reference/commands.md has lost one of the lines {BEGIN!r} and {END!r}.")
    return before + begin + _tables() + end + after


def _tables() -> str:
    ours = sorted(name for name, app in get_commands().items() if app.startswith("ami."))
    manage = (_row(name, _parser_of(name), _inherited()) for name in ours)
    scripts = sorted(file for file in (ROOT / "scripts").iterdir() if not file.suffix)
    return "\n".join(
        [
            "\n## On the server: `manage.py`\n",
            table(("command", "does"), manage),
            "## On the machine of a worker: `ami-worker`\n",
            table(("command", "does"), _ways(worker_parser())),
            "## In a checkout: `scripts/`\n",
            table(("script", "does"), ((f"`scripts/{file.name}`", _head_of(file)) for file in scripts)),
        ]
    )


def _row(name: str, parser: argparse.ArgumentParser, without: frozenset[str]) -> tuple[str, str]:
    """A command as it is called, and its sentence."""
    arguments = [_usage(action) for action in parser._actions if action.dest not in without]
    words = " ".join([name, *sorted(arguments, key=lambda argument: argument.startswith("["))])
    return f"`{words}`", parser.description or ""


def _usage(action: argparse.Action) -> str:
    """An argument as people write it: `[--job JOB]`."""
    if isinstance(action, argparse._SubParsersAction):
        return str(action.metavar or "|".join(action.choices))
    value = ""
    if action.nargs != 0:
        choices = "|".join(map(str, action.choices)) if action.choices else ""
        value = action.metavar if isinstance(action.metavar, str) else choices or action.dest.upper()
        value += " …" if action.nargs in ("+", "*") or isinstance(action, argparse._AppendAction) else ""
    if not action.option_strings:
        return value
    option = next((name for name in action.option_strings if name.startswith("--")), action.option_strings[0])
    text = f"{option} {value}".strip()
    return text if action.required else f"[{text}]"


def _parser_of(name: str) -> argparse.ArgumentParser:
    command: BaseCommand = load_command_class(get_commands()[name], name)
    return command.create_parser("manage.py", name)


def _inherited() -> frozenset[str]:
    """The options that every command of Django has; nobody looks for them here."""
    return frozenset(action.dest for action in BaseCommand().create_parser("manage.py", "any")._actions)


def _ways(parser: argparse.ArgumentParser) -> list[tuple[str, str]]:
    """The subcommands of a parser with their help."""
    (ways,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return [(f"`{parser.prog} {way.dest}`", way.help or "") for way in ways._choices_actions]


def _head_of(script: Path) -> str:
    """The first sentence of the comment at the head of a script."""
    return script.read_text().splitlines()[1].removeprefix("# ")
