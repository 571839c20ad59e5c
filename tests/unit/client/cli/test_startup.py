"""`scenemill --help` and shell completion wait for nothing that only a call of the API needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each test starts a program of its own

HEAVY = ("httpx", "rich", "anyio", "pygments", "scenemill.client", "sqlalchemy", "celery")
SCENEMILL = Path(sys.executable).with_name("scenemill")


def modules_of(*arguments, **environment):
    """Return the modules that a run of the command has loaded."""
    code = (
        "import sys\n"
        "from scenemill.cli.command import main\n"
        f"sys.argv = ['scenemill', *{arguments!r}]\n"
        "try:\n    main()\n"
        "finally:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_and_version_load_no_http_client_and_no_rich(arguments):
    assert not modules_of(*arguments) & set(HEAVY)


def test_completing_a_command_loads_neither():
    loaded = modules_of(_SCENEMILL_COMPLETE="bash_complete", COMP_WORDS="scenemill ta", COMP_CWORD="1")

    assert not loaded & set(HEAVY)


def shell(program, script, home):
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program}")
    path = f"{SCENEMILL.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [program, *(("-f",) if program == "zsh" else ()), "-c", script],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PATH": path, "HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("scenemill ta", ["tasks"]),
        ("scenemill tasks re", ["retry"]),
        ("scenemill tasks list --sta", ["--status"]),
        ("scenemill tasks list --status fa", ["failed"]),
    ],
)
def test_bash_completes_commands_options_and_values(home, line, words):
    script = f"""
        eval "$(_SCENEMILL_COMPLETE=bash_source scenemill)"
        COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE="{line}"
        _scenemill_completion scenemill
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """

    assert shell("bash", script, home) == words


@pytest.mark.parametrize(
    "words", ["render re", "batch submit re", "templates put greeting re", "assets upload re"]
)
def test_files_are_completed_by_the_shell(home, words):
    script = f"""
        export _SCENEMILL_COMPLETE=bash_complete COMP_WORDS='scenemill {words}' COMP_CWORD={len(words.split())}
        scenemill
    """

    assert shell("bash", script, home) == ["file,re"]


def test_zsh_completes_commands(home):
    # compdef and the functions that show completions exist in an interactive zsh alone; what they are given is seen.
    script = """
        compdef() { :; }
        compadd() { shift $(($# - 1)); eval "print -l \\${${1}}"; print -l $completions; }
        _describe() { print -l ${(P)${@[-1]}} ${(P)${@[-2]}} $completions_with_descriptions; }
        eval "$(_SCENEMILL_COMPLETE=zsh_source scenemill)"
        words=(scenemill ta) CURRENT=2
        _scenemill_completion
    """

    assert any(word.startswith("tasks") for word in shell("zsh", script, home))


def test_fish_completes_commands_and_values(home):
    script = """
        _SCENEMILL_COMPLETE=fish_source scenemill | source
        complete --do-complete "scenemill ta"
        complete --do-complete "scenemill tasks list --status fa"
    """

    found = shell("fish", script, home)

    assert found[0] == "tasks"
    assert "failed" in found
