"""Turns every way in which a command can end into an exit code and a few lines on stderr. No traceback gets through."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

import click

from scenemill.cli.groups import did_you_mean
from scenemill.cli.help import styled

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_CODES = {
    0: "done",
    1: "a task failed or was canceled",
    2: "the command, a script or the configuration is wrong",
    3: "the API refused the request, or would: --dry-run",
    4: "the API does not answer",
    5: "a download is damaged, or the answer is not one of Scenemill",
    6: "the local stack did not start",
    7: "a file cannot be read or written",
    8: "not finished within --timeout",
    70: "a bug in the command",
    130: "Ctrl-C",
    141: "the program that reads the output ended",
}
NAME, COMPLETION = "scenemill", "_SCENEMILL_COMPLETE"
USAGE, UNREACHABLE, FILE_PROBLEM, BUG, INTERRUPTED, BROKEN_PIPE = 2, 4, 7, 70, 130, 141
STATUS_HINTS = {
    401: "`scenemill config show` says which key is used. `scenemill login` logs in again.",
    403: "The key or user lacks a scope. `scenemill keys list` shows what each key opens.",
}
UNREACHABLE_HINT = (
    "Does Scenemill run there? `scenemill up` starts it on this machine, and `scenemill config show` says where the "
    "address comes from."
)
REPORT = "https://github.com/scenemill/scenemill/issues"


def run(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return the exit code that its end stands for."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    try:
        code = _invoked(command, given)
    except BaseException as error:  # noqa: BLE001 (the last place before the user)
        return _report(error, debug=debug)
    return code if isinstance(code, int) else 0


def _invoked(command: click.Command, given: list[str]) -> Any:
    """Return what a command returns. `click.Command.main` would turn a broken pipe into another exit code."""
    if COMPLETION in os.environ:
        return command.main(given, prog_name=NAME, complete_var=COMPLETION)
    with command.make_context(NAME, given) as context:
        return command.invoke(context)


def _report(error: BaseException, *, debug: bool) -> int:
    """Say on stderr what ended the command, and return its exit code."""
    if debug and not isinstance(error, SystemExit | click.exceptions.Exit):
        traceback.print_exception(error, file=sys.stderr)
    try:
        code, lines = _explained(error)
        for line in lines:
            # An argument may hold bytes that are no text.
            click.echo(line.encode(errors="backslashreplace").decode(), err=True)
    except OSError:
        return BROKEN_PIPE  # nobody reads stderr either
    if code == BROKEN_PIPE:
        _close_stdout()
    return code


def _explained(error: BaseException) -> tuple[int, list[str]]:
    """Return the exit code of a failure, and what to say about it."""
    code = getattr(error, "exit_code", None)
    match error:
        case SystemExit(code=given):
            return (given if isinstance(given, int) else 1), []
        case KeyboardInterrupt() | click.Abort():
            return _interrupted(error)
        case click.ClickException():
            return error.exit_code, _usage(error)
        case OSError():
            broken = error.errno == errno.EPIPE
            return (BROKEN_PIPE, []) if broken else (FILE_PROBLEM, [red("Error: ") + _file_problem(error)])
        case click.exceptions.Exit():
            return error.exit_code, []
    # A ScenemillError has a code. Its module is not imported here: --help would wait for the HTTP client.
    return (code, _foreseen(error)) if isinstance(code, int) else (BUG, _bug(error))


def _interrupted(error: BaseException) -> tuple[int, list[str]]:
    if isinstance(error, click.Abort) and not sys.stdin.isatty():  # nobody typed Ctrl-C: stdin ended
        return USAGE, [red("Error: ") + "An answer was asked for, and there is none on stdin."]
    return INTERRUPTED, []


def _foreseen(error: BaseException) -> list[str]:
    first, *rest = str(error).splitlines() or [type(error).__name__]
    return [red("Error: ") + first, *rest, *_hints(error)]


def _hints(error: BaseException) -> list[str]:
    """Return what to do about a failure, where that is the same for all commands."""
    if getattr(error, "exit_code", None) == UNREACHABLE:
        return [UNREACHABLE_HINT]
    return [STATUS_HINTS[status]] if (status := getattr(error, "status", 0)) in STATUS_HINTS else []


def _usage(error: click.ClickException) -> list[str]:
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help; click before 8.2 has none
        return error.format_message().splitlines()
    lines = [red("Error: ") + error.format_message()]
    context = getattr(error, "ctx", None)
    if context is None:
        return lines
    if isinstance(error, click.NoSuchOption):
        lines[0] = red("Error: ") + _no_such_option(error, context)
    return [*lines, styled(f"Help: {context.command_path} --help", dim=True)]


def _no_such_option(error: click.NoSuchOption, context: click.Context) -> str:
    """Return a sentence about an unknown option, with what it may have been meant to be."""
    own, general = (_options(one) for one in (context.command, context.find_root().command))
    if error.option_name in general and context.parent is not None:
        return (
            f"{error.option_name} is an option of scenemill itself and stands before the command: "
            f"scenemill {error.option_name} … {context.command_path.partition(' ')[2]}"
        )
    return f"There is no option {error.option_name!r}." + did_you_mean(error.option_name, own)


def _options(command: click.Command) -> set[str]:
    return {
        name
        for one in command.params
        if isinstance(one, click.Option)
        for name in (*one.opts, *one.secondary_opts)
    }


def _file_problem(error: OSError) -> str:
    """Return what is wrong with a file, the file, and what to do."""
    reason = error.strerror or str(error) or type(error).__name__
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}{reason}. Free some space, or choose another disk."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where}{reason}. Choose a place that you may write to, or change its permissions."
    return f"{where}{reason}"


def _bug(error: BaseException) -> list[str]:
    from importlib.metadata import version  # noqa: PLC0415 (the other ways to end do not need it)

    return [
        red("Error: ") + f"An unexpected {type(error).__name__}: {error}",
        f"This is a bug in scenemill {version('scenemill')}. Run the same command with --debug before its name,",
        f"and report what it prints at {REPORT}",
    ]


def red(text: str) -> str:
    """Return a text that is red where colours are shown."""
    return styled(text, fg="red", bold=True)


def _close_stdout() -> None:
    """Let Python's last flush of stdout go nowhere: it would complain about the broken pipe once more."""
    try:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())
    except (OSError, ValueError):
        return
