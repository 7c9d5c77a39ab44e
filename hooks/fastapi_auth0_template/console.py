"""Output and questions. Results go to stdout, everything else to stderr, secrets nowhere."""

import json
import os
import re
import shutil
import sys
import textwrap
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from .model import Json, Options
from .problems import Problem
from .text import redacted, redacted_json

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

# Variables that AI agents set for the commands they run. Not CURSOR_TRACE_ID: people have it too.
AGENT = re.compile(
    r"AI_AGENT|ANTIGRAVITY_CLI_ALIAS|CLAUDECODE|CLAUDE_CODE_ENTRYPOINT|CLAUDE_CODE_SESSION_ID"
    r"|CURSOR_AGENT|GEMINI_CLI(_VERSION)?|.+_(THREAD|CONVERSATION|AGENT_SESSION)_ID"
)
WIDTHS = (40, 100)  # bounds for the width of a line, which is the terminal's
STYLES = {"ok": "green", "warning": "yellow", "failure": "bold red", "skipped": "dim"}
UNREADABLE = "\x1b[0m\x1b[?25h\x1b[?2004l"  # no colour, a cursor, no bracketed paste


class Work(Protocol):
    """The work of a run so far."""

    wrote: bool
    notes: list[str]


@dataclass
class Report:
    """The outcome of a run, as --json shows it."""

    facts: Json = field(default_factory=lambda: {"via": None, "tenant": None, "audience": None})
    changes: list[Json] = field(default_factory=list)
    checks: list[Json] = field(default_factory=list)
    status: str = "failed"
    work: Work | None = None
    problem: Problem | None = None

    @property
    def wrote(self) -> bool:
        return self.work is not None and self.work.wrote

    def as_json(self, command: str, code: int) -> Json:
        if code in (3, 130) and command in ("setup", "move-users"):
            self.status = "stopped" if code == 3 else "interrupted"
        error = self.problem and {
            "code": self.problem.code,
            "message": self.problem.message,
            "next": self.problem.next_step,
        }
        head = {"status": self.status, "exit_code": code}
        if command == "doctor":
            return head | {"checks": self.checks, "error": error}
        notes = self.work.notes if self.work else []
        return head | self.facts | {"changes": self.changes, "notes": notes, "error": error}


class Console:
    """The terminal of one run, and its report."""

    def __init__(self, options: Options, report: Report | None = None) -> None:
        self.silent = options.json
        self.report = report or Report()
        self.mute_reason = _why_mute(options)
        self._modes = _terminal_modes()
        self.clean_up: Callable[[], None] = lambda: None  # also when a signal ends the process

    @property
    def asks(self) -> bool:
        return not self.mute_reason

    # ------------------------------------------------------------------------------- to be read

    def say(self, text: str = "", indent: int = 0, hanging: int = 0) -> None:
        """Print a line of the result; wrap it if it does not fit, `hanging` columns deeper."""
        if not self.silent:
            print(_wrapped(text, indent, hanging), flush=True)

    def command(self, text: str) -> None:
        """Print a command to copy: on one line, however long."""
        if not self.silent:
            print(f"  {redacted(text)}", flush=True)

    def result(self, text: str) -> None:
        """Print what was asked for and nothing else, even though it is secret."""
        print(text, flush=True)

    def tell(self, text: str, *, wrap: bool = True) -> None:
        """Print progress, a note, an error."""
        with suppress(OSError):  # the reader is gone
            line = _wrapped(text, hanging=2) if wrap else redacted(text)
            print(line, file=sys.stderr, flush=True)

    def tree(self, title: str, branches: Sequence[Sequence[str]]) -> None:
        """Print a tree of branches, each a headline and its details."""
        if self.silent:
            return
        from rich.text import Text
        from rich.tree import Tree

        tree = Tree(Text(title), guide_style="dim")
        for headline, *details in branches:
            branch = tree.add(Text(_clean(headline)))
            for detail in details:
                branch.add(Text(_clean(detail)))
        self._rich().print(tree)

    def row(self, status: str, name: str, found: str, remedy: str | None) -> None:
        """Print one row of a table: a check, its finding, and the remedy below it."""
        if self.silent:
            return
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
        grid.add_column(width=7)
        grid.add_column(width=17)
        grid.add_column(ratio=1, overflow="fold")
        grid.add_row(Text(status, STYLES[status]), Text(name), Text(_clean(found)))
        if remedy:
            grid.add_row("", "", Text(_clean(remedy), "italic"))
        console = self._rich()
        with console.capture() as captured:
            console.print(grid)
        print("\n".join(line.rstrip() for line in captured.get().splitlines()), flush=True)

    def _rich(self) -> "RichConsole":
        from rich.console import Console as RichConsole

        return RichConsole(
            file=sys.stdout,
            width=_width(),
            height=25,  # without one, a dumb terminal has 80 columns for it
            highlight=False,
            markup=False,
            emoji=False,
        )

    def as_json(self, command: str, code: int) -> None:
        """Print the JSON object of --json."""
        value: Any = redacted_json(self.report.as_json(command, code))
        print(json.dumps(value, indent=2), flush=True)

    # ------------------------------------------------------------------------- to be answered

    def yes(self, question: str) -> bool:
        """Ask a yes-or-no question whose default is no. Only if `asks`."""
        if os.environ.get("TERM") == "dumb":
            return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
        return bool(_questionary().confirm(question, default=False).unsafe_ask())

    def choice(self, question: str, options: Sequence[str]) -> str:
        """Ask for one of the options. Only if `asks`."""
        if os.environ.get("TERM") == "dumb":
            self.say("\n".join(options))
            return input(f"{question} ").strip()
        return str(_questionary().select(question, choices=list(options)).unsafe_ask())

    def standard_input(self, what: str) -> str:
        """Return all of stdin; say what it waits for."""
        if sys.stdin.isatty():
            self.tell(f"Paste {what}, then press Enter. It is not shown.")
            return self._pasted()
        timer = threading.Timer(1.0, self.tell, [f"Waiting for {what} on stdin ..."])
        timer.daemon = True
        timer.start()
        try:
            return sys.stdin.read()
        finally:
            timer.cancel()
            timer.join()

    def _pasted(self) -> str:
        """Read what is typed or pasted, of any length: a terminal in line mode keeps only 4095."""
        try:
            import termios
            from select import select
        except ImportError:  # Windows has no such bound
            return sys.stdin.readline()
        modes = termios.tcgetattr(sys.stdin)
        modes[3] &= ~(termios.ICANON | termios.ECHO)
        handle, text = sys.stdin.fileno(), b""
        termios.tcsetattr(handle, termios.TCSANOW, modes)
        try:
            while (chunk := os.read(handle, 65536)) and b"\x04" not in chunk:
                text += chunk
                # A pasted token may have line breaks: pasted text arrives without a pause.
                if text.endswith(b"\n") and not select([handle], [], [], 0.3)[0]:
                    break
        finally:
            self.restore_terminal()
        return (text + chunk.partition(b"\x04")[0] * (b"\x04" in chunk)).decode("utf-8", "replace")

    def restore_terminal(self) -> None:
        """Restore the terminal, wherever a question was interrupted."""
        if self._modes is None:
            return
        import termios

        with suppress(termios.error, OSError, ValueError):
            termios.tcsetattr(sys.stdin, termios.TCSANOW, self._modes)
            if sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and self.asks:
                os.write(sys.stdout.fileno(), UNREADABLE.encode())


def _terminal_modes() -> Any:
    try:
        import termios

        return termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    except (ImportError, OSError, ValueError, termios.error):
        return None


def _why_mute(options: Options) -> str:
    if options.no_input or options.json:
        return "--no-input" if options.no_input else "--json"
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        return "no terminal"
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        return "CI is set"
    if os.environ.get("AUTH0_AGENT_MODE", "").lower() in ("1", "t", "true"):
        return "AUTH0_AGENT_MODE is set"
    names = (name for name, value in os.environ.items() if value)
    agent = next(filter(AGENT.fullmatch, names), "")
    return agent and f"{agent} is set"


def _questionary() -> ModuleType:
    import questionary  # takes a quarter of a second, so only to ask

    if os.environ.get("NO_COLOR"):
        os.environ.setdefault("PROMPT_TOOLKIT_COLOR_DEPTH", "DEPTH_1_BIT")
    return questionary


def _width() -> int:
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 80
    return max(WIDTHS[0], min(columns, WIDTHS[1]))


def _clean(text: str) -> str:
    # Names from the tenant may hold control characters.
    return "".join(char if char.isprintable() else " " for char in redacted(text))


def _wrapped(text: str, indent: int = 0, hanging: int = 0) -> str:
    return textwrap.fill(
        _clean(text),
        width=_width(),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_long_words=False,
        break_on_hyphens=False,
    )
