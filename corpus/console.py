"""What the four commands share: options, defaults, progress, errors to exit codes.

Progress and notes go to stderr, results to stdout. Exit codes: 0 done, 1 a clear
error, 2 wrong usage, 130 interrupted with state kept.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corpus.errors import BitextileError
from corpus.workspace import FILE, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from corpus.stages import StageRun


KEYS = ("format", "contact", "precision")  # of bitextile.toml, beside the tables of the commands
COMMANDS = ("corpus", "align", "distill", "benchmarks")
WIDE = 1000  # columns of a table that no terminal shows


class Console:
    """How one command speaks."""

    def __init__(self, root: Path, *, verbose: bool = False, as_json: bool = False) -> None:
        """Keep where the workspace is and how to speak."""
        self.root = root
        self.as_json = as_json
        level = logging.INFO if verbose else logging.WARNING
        logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(message)s")

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace that the command works in."""
        return Workspace.open(self.root)

    def say(self, text: str) -> None:
        """Write a note to stderr."""
        click.echo(text, err=True)

    def show(self, text: str) -> None:
        """Write a result to stdout, unless JSON was asked for."""
        if not self.as_json:
            click.echo(text)

    def emit(self, record: object) -> None:
        """Write the result as JSON where that was asked for."""
        if self.as_json:
            click.echo(json.dumps(record, ensure_ascii=False, indent=1))

    def entry(self, record: Mapping[str, object]) -> None:
        """Show one of a list: its first two values are name and summary."""
        name, summary, *facts = record
        known = (f"{key} {record[key]}" for key in facts if record[key] not in (None, ""))
        self.show(f"{record[name]}: {record[summary]}\n    {' · '.join(known)}")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Show a table; numbers to the right."""
        if self.as_json:
            return
        from rich.console import Console as Rich
        from rich.table import Table

        table = Table()
        for n, column in enumerate(columns):
            right = all(isinstance(row[n], int | float) for row in rows)
            table.add_column(column, justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        # A file or a pipe has no width that lines would have to fit.
        out = Rich(width=None if sys.stdout.isatty() else WIDE)
        out.print(title, style="bold", markup=False, highlight=False)
        out.print(table)

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Show a bar on stderr; the yielded function takes done and total."""
        from rich.console import Console as Rich
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        quiet = not sys.stderr.isatty()
        with Progress(*columns, console=Rich(stderr=True), transient=True, disable=quiet) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def stage(self, run: StageRun, of: str = "") -> None:
        """Tell in one line what a stage did, and of what."""
        counts = ", ".join(f"{name} {n}" for name, n in run.counts.items())
        done = f"{run.n_made} made" if run.changed else "up to date"
        self.say(f"{run.stage} {of}".rstrip() + f": {done}" + (f" ({counts})" if counts else ""))


class Command(click.Command):
    """A command whose defaults come from its workspace and whose errors are one line."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 - click's own signature
    ) -> click.Context:
        """Read the command's defaults from ``bitextile.toml`` before parsing."""
        if parent is not None and info_name:
            extra["default_map"] = self._defaults(parent, info_name, args)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run, and turn errors into one line and an exit code."""
        try:
            return super().invoke(ctx)
        except BitextileError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            click.echo("interrupted; what was finished is kept, run again to go on", err=True)
            ctx.exit(130)

    def _defaults(self, parent: click.Context, name: str, args: Sequence[str]) -> dict[str, object]:
        """Find the command's table, and the parameter of each of its keys."""
        try:
            workspace = Workspace.open(_root_in(args))
        except BitextileError:
            return {}  # the command itself says it better
        table = _table(workspace.defaults, parent, name)
        known = {p.name: p for p in self.params if p.name}
        known |= {o.lstrip("-"): p for p in self.params for o in p.opts if o.startswith("--")}
        values: dict[str, object] = {}
        for key, value in table.items():
            param = known.get(key) or known.get(key.replace("_", "-"))
            param = param or known.get(key.replace("-", "_"))
            if param is None or param.name is None:
                raise _unknown(f"[{_path(parent, name)}] has no option", key, known)
            is_list = getattr(param, "multiple", False) and isinstance(value, str)
            values[param.name] = [value] if is_list else value
        return values


def _table(config: Mapping[str, Any], parent: click.Context, name: str) -> Mapping[str, Any]:
    """Find ``[COMMAND.SUBCOMMAND]``; every name on the way to it must be one."""
    groups = _groups(parent)
    known: Iterable[str] = {*KEYS, *COMMANDS, groups[0].name or ""}
    table = config
    for group in [*groups, None]:
        for key in table:
            if key not in known:
                raise _unknown("no command is called", key, known)
        key = name if group is None else group.name or ""
        table = table.get(key, {})
        if not isinstance(table, dict):
            raise click.ClickException(
                f"{FILE}: '{key}' is no table; write [{_path(parent, name)}] and OPTION = VALUE"
            )
        known = getattr(group, "commands", ())
    return table


def _groups(context: click.Context | None) -> list[click.Command]:
    """List the groups that a command stands in, outermost first."""
    return [*_groups(context.parent), context.command] if context else []


def _path(parent: click.Context, name: str) -> str:
    return ".".join([*(group.name or "" for group in _groups(parent)), name])


def _unknown(what: str, got: str, known: Iterable[str]) -> click.ClickException:
    near = get_close_matches(got, known, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return click.ClickException(f"{FILE}: {what} '{got}'{hint}")


class Group(click.Group):
    """A package's command with its sub-commands."""

    command_class = Command


def common(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every command takes, and hand it a `Console`."""
    from functools import wraps

    @click.option("--workspace", "-w", "root", default=".", help="Folder of the workspace.")
    @click.option("--verbose", "-v", is_flag=True, help="Log more to stderr.")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @wraps(function)
    def wrapped(root: str, verbose: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
        function(Console(Path(root), verbose=verbose, as_json=as_json), **options)

    return wrapped


def _root_in(args: Sequence[str]) -> Path:
    """Find --workspace among raw arguments: defaults are needed before parsing."""
    for n, arg in enumerate(args):
        if found := re.fullmatch(r"--workspace(?:=(.*))?|-v*w(.*)", arg, re.DOTALL):
            return Path(found[1] or found[2] or next(iter(args[n + 1 :]), "."))
    return Path()


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
