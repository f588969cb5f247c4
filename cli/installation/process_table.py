"""What the operating system knows of processes: from /proc, or from ps where there is none."""

import subprocess
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_BOOT: Final = _PROC / "sys/kernel/random/boot_id"


def start_mark(pid: int) -> str | None:
    """When a process started, in words that no later process with its pid has; None if gone."""
    if not _BOOT.exists():
        return _ps(pid, "lstart") or None
    fields = _stat(pid)
    # Ticks since boot (proc(5), field 22), which say nothing after another boot.
    return f"{_BOOT.read_text().strip()}/{fields[19]}" if fields else None


def ended(pid: int) -> bool:
    """Whether a process has ended, though its parent may not have noticed."""
    if not _BOOT.exists():
        return _ps(pid, "stat")[:1] in {"", "Z"}
    fields = _stat(pid)
    return not fields or fields[0] in {"Z", "X"}


def members(leader: int) -> list[tuple[int, str]]:
    """Pid and command line of the processes of a session, its leader first.

    Where sessions cannot be asked for, of the leader and its children.
    """
    if not _BOOT.exists():
        lines = [line.split(None, 2) for line in _run("-A", "-o", "pid=,ppid=,command=")]
        found = [(int(one[0]), one[2]) for one in lines if len(one) == 3 and str(leader) in one[:2]]
    else:
        found = []
        for folder in _PROC.iterdir():
            if folder.name.isdecimal():
                fields = _stat(int(folder.name))
                if fields and fields[3] == str(leader) and fields[0] not in {"Z", "X"}:
                    found.append((int(folder.name), _command(folder)))
    return sorted(found, key=lambda one: (one[0] != leader, one[0]))


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the command, which may hold spaces and parentheses."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _command(folder: Path) -> str:
    try:
        return (
            (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        )
    except OSError:
        return ""


def _ps(pid: int, column: str) -> str:
    return " ".join(_run("-p", str(pid), "-o", f"{column}="))


def _run(*arguments: str) -> list[str]:
    done = subprocess.run(["ps", *arguments], capture_output=True, text=True, check=False)  # noqa: S607
    return [line.strip() for line in done.stdout.splitlines()]
