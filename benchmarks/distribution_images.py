"""Two successive images of the machine's own distribution, built from its packages.

The first one holds the release as it was published last: what its own pocket of the archive has,
which is not changed between releases. The second one has the updates and security fixes since then:
once upgraded in place, in a copy of the first one's file system, and once built from scratch.
Where packages come from is what the machine's apt is set up with.

Run: python -m benchmarks.distribution_images FOLDER
It needs root, mmdebstrap, mkfs.ext4, and about 5 GiB of disk, and takes three to six minutes;
packages are kept in FOLDER/packages for the next time.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from benchmarks.tools import tool

SIZE: Final = "1536M"
# A server as many bake it: a kernel, what sets it up when it starts, a shell's worth of tools,
# a web server, a database and a language.
PACKAGES: Final = (
    *("systemd-sysv", "udev", "dbus", "openssh-server", "sudo", "cloud-init", "ifupdown"),
    *("ca-certificates", "curl", "git", "less", "vim", "python3", "nginx", "postgresql", "gcc"),
)
_KERNELS: Final = {"debian": "linux-image-cloud-amd64", "ubuntu": "linux-image-virtual"}
_FIELD: Final = re.compile(r"(Package|Status|Version|Installed-Size): ")
# In a mount namespace of its own, which takes every mount with it when it ends.
_UPGRADE: Final = """
set -e
mount --make-rprivate /
mount -o loop "$1" "$2"
mount -t proc proc "$2/proc"
mount --rbind /dev "$2/dev"
cp /etc/resolv.conf "$2/etc/resolv.conf"
printf '#!/bin/sh\\nexit 101\\n' >"$2/usr/sbin/policy-rc.d"
chmod +x "$2/usr/sbin/policy-rc.d"
printf '%s\\n' "$3" >"$2/etc/apt/sources.list"
mount --bind "$4" "$2/var/cache/apt/archives"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
chroot "$2" apt-get --quiet update
chroot "$2" apt-get --quiet --yes -o Dpkg::Options::=--force-confold dist-upgrade
rm "$2/usr/sbin/policy-rc.d"
rm "$2"/var/lib/apt/lists/*_* "$2"/var/cache/apt/*.bin
# What was freed becomes holes, as whoever bakes images has it.
fstrim "$2"
"""


class Unavailable(Exception):
    """The images cannot be built here; the message tells why."""


def distribution() -> tuple[str, str]:
    """Answer id and code name of the machine's distribution."""
    release = Path("/etc/os-release")
    lines = release.read_text().splitlines() if release.exists() else []
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    return told.get("ID", "").strip('"'), told.get("VERSION_CODENAME", "").strip('"')


def sources() -> tuple[list[str], list[str]]:
    """Answer apt's lines of the release alone, and those of the release with its updates."""
    _, codename = distribution()
    apt = tool("apt-get")
    if apt is None or not codename:
        raise Unavailable("this is no distribution of apt")
    wanted = "$(CODENAME) $(REPO_URI) $(COMPONENT)"
    told = _run(apt, "indextargets", "--format", wanted, "Created-By: Packages").splitlines()
    pockets: dict[str, tuple[str, set[str]]] = {}
    for line in told:
        pocket, address, component = line.split()
        if pocket in (codename, f"{codename}-updates", f"{codename}-security"):
            pockets.setdefault(pocket, (address, set()))[1].add(component)
    lines = {
        pocket: f"deb {address} {pocket} {' '.join(sorted(components))}"
        for pocket, (address, components) in pockets.items()
    }
    if codename not in lines or len(lines) == 1:
        raise Unavailable(f"apt knows no release {codename} with updates; try `apt-get update`")
    return [lines[codename]], list(lines.values())


def build(folder: Path) -> tuple[Path, Path, Path]:
    """Make the release, the same with its updates in place, and the same built anew.

    Images that are in the folder already are taken as they are.
    """
    release, updated, rebuilt = (folder / f"{name}.ext4" for name in ("first", "updated", "anew"))
    if release.exists() and updated.exists() and rebuilt.exists():
        return release, updated, rebuilt
    if os.geteuid() != 0:
        raise Unavailable("building images of packages needs root")
    packages = folder / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    before, after = sources()
    _bootstrap(folder, before, release, packages)
    half = folder / "updated.part"
    shutil.copyfile(release, half)
    inside = folder / "inside"
    inside.mkdir(exist_ok=True)
    _run(
        *(_need("unshare"), "--mount", "--pid", "--fork", "--kill-child"),
        *("sh", "-c", _UPGRADE, "sh", str(half), str(inside), "\n".join(after), str(packages)),
    )
    inside.rmdir()
    half.rename(updated)
    _bootstrap(folder, after, rebuilt, packages)
    return release, updated, rebuilt


def packages_of(image: Path) -> Mapping[str, tuple[str, int]]:
    """Answer version, and size in KiB once installed, of each package in an image."""
    told = _run(_need("debugfs"), "-R", "cat /var/lib/dpkg/status", str(image))
    found: dict[str, tuple[str, int]] = {}
    for paragraph in told.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if _FIELD.match(line))
        if fields.get("Status", "").endswith(" installed"):
            size = int(fields.get("Installed-Size", "0"))
            found[fields["Package"]] = fields["Version"], size
    return found


def _bootstrap(folder: Path, lines: Iterable[str], image: Path, packages: Path) -> None:
    name, _ = distribution()
    tree = folder / "tree"
    chosen = ",".join((*PACKAGES, _KERNELS.get(name, "linux-image-generic")))
    cache = '"$1/var/cache/apt/archives/"'
    try:
        _run(
            *(_need("mmdebstrap"), "--mode=root", "--variant=important", f"--include={chosen}"),
            "--skip=essential/unlink",
            f"--setup-hook=mkdir -p {cache}; cp {packages}/*.deb {cache} || true",
            f"--customize-hook=cp -n {cache}*.deb {packages}/",
            *("", str(tree), *lines),
        )
        half = image.with_suffix(".part")
        _run(_need("mkfs.ext4"), "-q", "-F", "-d", str(tree), str(half), SIZE)
        half.rename(image)
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def _need(name: str) -> str:
    found = tool(name)
    if found is None:
        raise Unavailable(f"{name} is needed")
    return found


def _run(*command: str) -> str:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"PATH": path}
    )
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
        raise Unavailable(f"{Path(command[0]).name} failed: {last}")
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    begun = time.monotonic()
    try:
        images = build(parser.parse_args().folder.resolve())
    except Unavailable as why:
        print(f"not built: {why}")
        return 1
    print(f"{', '.join(one.name for one in images)} in {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
