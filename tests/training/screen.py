"""A terminal of so many columns for a program, and what stands on it in the end."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios


def run(arguments: list[str], columns: int = 80, **settings: object) -> str:
    """All that a Python program writes to a terminal."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, *arguments]
    process = subprocess.Popen(command, stdout=follower, stderr=follower, **settings)
    os.close(follower)
    written = b""
    while True:
        try:
            some = os.read(leader, 65536)
        except OSError:  # the program has ended
            break
        if not some:
            break
        written += some
    os.close(leader)
    assert process.wait() == 0, written.decode()
    return written.decode()


def pictures(written: str) -> list[str]:
    """Every state of every line, as it was once to be seen."""
    return [re.sub(r"\x1b\[K", "", line) for line in re.split(r"[\r\n]+", written)]


def screen(written: str) -> str:
    """The lines that are left to be seen."""
    lines = [
        re.sub(r"\x1b\[K", "", line.rsplit("\r", 1)[-1]) for line in re.split("\r?\n", written)
    ]
    return "\n".join(lines)
