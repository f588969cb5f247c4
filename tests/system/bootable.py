"""A small disk that boots, made of the distribution's packages without root.

A BIOS starts the loader in its first sector, which loads kernel, first programs and command line
from the disk's only partition: nothing of what runs comes from anywhere else.
"""

import gzip
import os
import platform
import subprocess
from pathlib import Path
from typing import Final

MIB: Final = 1024 * 1024
DISK_BYTES: Final = 64 * MIB
_PARTITION: Final = MIB
_KERNEL: Final = "linux-image-cloud-amd64"
_MBR: Final = Path("/usr/lib/SYSLINUX/mbr.bin")
# Says what its disk told it, and turns the machine off.
_INIT: Final = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox echo "started: $(/bin/busybox cat /proc/cmdline)" >/dev/ttyS0
/bin/busybox poweroff -f
"""
#: What has to be installed beside apt and dpkg.
TOOLS: Final = (
    "qemu-system-x86_64",
    "qemu-img",
    "syslinux",
    "mcopy",
    "mkfs.vfat",
    "sfdisk",
    "cpio",
)


def supported() -> bool:
    """Whether the packages are for this machine."""
    return platform.machine() == "x86_64"


def make_disk(folder: Path, marker: str) -> Path:
    """Make a raw disk whose system says `marker` on its serial console when it starts."""
    kernel, busybox = _packages(folder)
    disk = folder / "boots.raw"
    with disk.open("wb") as file:
        file.truncate(DISK_BYTES)
    table = f"label: dos\nstart={_PARTITION // 512}, type=c, bootable\n"
    _run("sfdisk", "--quiet", str(disk), given=table.encode())
    with disk.open("r+b") as file:
        file.write(_MBR.read_bytes())
    sectors = (DISK_BYTES - _PARTITION) // 1024
    # Sectors of 512 B, hidden ones before it: what the loader finds itself by.
    _run(
        *("mkfs.vfat", "-F", "16", "-n", "BOOTS", "-h", str(_PARTITION // 512)),
        *("--offset", str(_PARTITION // 512), str(disk), str(sectors)),
    )
    settings = folder / "syslinux.cfg"
    settings.write_text(
        "DEFAULT boots\nLABEL boots\nKERNEL kernel\nINITRD first.gz\n"
        f"APPEND console=ttyS0 panic=-1 quiet {marker}\n"
    )
    first = folder / "first.gz"
    first.write_bytes(gzip.compress(_first_programs(folder / "first", busybox)))
    inside = f"{disk}@@{_PARTITION}"
    for source, name in ((kernel, "kernel"), (first, "first.gz"), (settings, "syslinux.cfg")):
        _run("mcopy", "-i", inside, str(source), f"::/{name}")
    _run("syslinux", "--install", "--offset", str(_PARTITION), str(disk))
    return disk


def convert(disk: Path, to: Path, form: str) -> Path:
    """Put a raw disk into a file of a format, as the contract calls it."""
    options = {
        "vhd_fixed": ("vpc", "-o", "subformat=fixed,force_size=on"),
        "qcow2": ("qcow2",),
    }
    _run("qemu-img", "convert", "-f", "raw", "-O", *options[form], str(disk), str(to))
    return to


def boot(disk: Path, form: str) -> str:
    """Start a machine from a copy-on-write view of a disk, and answer what its console said."""
    log = disk.with_suffix(".log")
    _run(
        *("qemu-system-x86_64", "-machine", "pc,accel=tcg", "-cpu", "max", "-m", "256"),
        *("-display", "none", "-no-reboot", "-snapshot", "-nic", "none", "-serial", f"file:{log}"),
        *("-drive", f"file={disk},format={form},if=ide"),
    )
    return log.read_text(errors="replace")


def _packages(folder: Path) -> tuple[Path, Path]:
    """Fetch the distribution's newest kernel for clouds, and a shell that needs nothing else."""
    root = folder / "packages"
    root.mkdir()
    depends = _run("apt-cache", "depends", "--important", _KERNEL).decode()
    (image,) = {
        line.split()[1]
        for line in depends.splitlines()
        if line.strip().startswith("Depends: linux")
    }
    _run("apt-get", "download", "--quiet", image, "busybox-static", cwd=root)
    for package in root.glob("*.deb"):
        _run("dpkg-deb", "--extract", str(package), str(root))
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    return kernel, root / "bin" / "busybox"


def _first_programs(folder: Path, busybox: Path) -> bytes:
    (folder / "bin").mkdir(parents=True)
    (folder / "dev").mkdir()
    (folder / "proc").mkdir()
    (folder / "bin" / "busybox").write_bytes(busybox.read_bytes())
    (folder / "init").write_text(_INIT)
    for program in (folder / "bin" / "busybox", folder / "init"):
        program.chmod(0o755)
    names = ["bin", "bin/busybox", "dev", "init", "proc"]
    return _run("cpio", "--create", "--format=newc", given="\n".join(names).encode(), cwd=folder)


def _run(*command: str, given: bytes | None = None, cwd: Path | None = None) -> bytes:
    # Tools of the system's administrator are not on every path.
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    done = subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        check=False,
        env=os.environ | {"PATH": path},
        input=given,
        timeout=240,
    )
    assert done.returncode == 0, f"{command[0]}: {done.stderr.decode(errors='replace')}"
    return done.stdout
