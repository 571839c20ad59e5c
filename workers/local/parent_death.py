"""Runs another program that dies with its parent. Executed as a file, before any package can be imported.

`python parent_death.py PARENT SIGNAL UID GID PROGRAM [ARGUMENT...]`: the kernel sends SIGNAL when PARENT ends, however it
ends. A UID of -1 keeps the user. The death signal is set after the change of user, which would clear it.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Drop root where asked, set the death signal, and exec the program."""
    parent, signal_number, uid, gid = (int(value) for value in sys.argv[1:5])
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:
        sys.exit("The parent ended before its child began.")
    os.execv(sys.argv[5], sys.argv[5:])  # noqa: S606 (exec is the purpose; the list comes from our own code)


main()
