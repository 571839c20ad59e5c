"""An ffmpeg that misbehaves when it is told to, named by SCENEMILL_FFMPEG: otherwise it is the bundled one itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.processes import ffmpeg

if TYPE_CHECKING:
    from pathlib import Path

_SHELL = """#!/bin/sh
# The worker gives it no environment: what it is to do stands in files beside it.
here=${0%/*}
how=
case " $* " in
*" rawvideo "*) mv "$here/next" "$here/took.$$" 2>/dev/null && how=$(cat "$here/took.$$") ;;
esac
case " $* " in
*" -progress "*) [ -f "$here/always" ] && how=$(cat "$here/always") && echo "$$" >>"$here/took.always" ;;
esac
case $how in
segv) kill -SEGV $$ ;;
exit1) echo "All is broken." >&2; exit 1 ;;
nothing) exit 0 ;;
short)
    count=$#; at=0
    for each; do
        at=$((at + 1))
        [ $at -eq $count ] && set -- "$@" -t 0.05
        set -- "$@" "$each"
    done
    shift $count ;;
noise) head -c 1000000000 /dev/zero >&2; exit 1 ;;
stop) kill -STOP $$ ;;
hold) sleep 1000 & ;;
late) sleep 1 ;;
drowsy)
    case " $* " in
    *" rawvideo "*) ;;
    *) sleep 20 ;;
    esac ;;
poison) kill -KILL $PPID; kill -STOP $$ ;;
esac
exec REAL "$@"
"""


class Wrapper:
    """The program in a folder of its own, and what it is told."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.path = folder / "ffmpeg"
        self.path.write_text(_SHELL.replace("REAL", f"'{ffmpeg.bundled_ffmpeg()}'"))
        self.path.chmod(0o755)
        self._next, self._always = folder / "next", folder / "always"

    def next(self, how: str) -> None:
        """Let the next run that makes a segment's picture go wrong so."""
        draft = self._next.with_suffix(".draft")
        draft.write_text(how)
        draft.rename(self._next)

    def always(self, how: str | None) -> None:
        """Let every run that makes something go wrong so; None ends it."""
        if how is None:
            self._always.unlink(missing_ok=True)
        else:
            self._always.write_text(how)

    def taken(self) -> int:
        """Return how often it has gone wrong."""
        folder = self.path.parent
        every = folder / "took.always"
        return len([*folder.glob("took.[0-9]*")]) + (len(every.read_text().split()) if every.exists() else 0)

    def forget(self) -> bool:
        """Take back what nobody has taken; tell whether there was something."""
        waiting = self._next.exists()
        self._next.unlink(missing_ok=True)
        return waiting
