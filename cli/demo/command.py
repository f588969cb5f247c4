"""The command `stoa demo`."""

import os
import shlex
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer

from cli.demo import disks as images
from cli.demo import job
from cli.demo.narration import Narrator
from cli.demo.next_steps import next_steps
from cli.errors import CliError, UsageProblem
from cli.installation.layout import SERVICES, Layout
from cli.installation.running import stop
from cli.output import human_bytes, note
from cli.trace import FILE_VARIABLE

app = typer.Typer()

# What the demo keeps of a disk's data: the image, the blob, four replicas, the pulled file; and
# some room.
_COPIES: Final = 8
_FOLDERS: Final = ("/var/tmp",)  # noqa: S108 where large temporary files belong
_LOG_LINES: Final = 20


@app.command()
def demo(
    *,
    image: Annotated[
        Path | None, typer.Option(help="Your raw disk image. [default: one made on the spot]")
    ] = None,
    ports: Annotated[str, typer.Option(help="As of `stoa up`.")] = "auto",
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the services running and the data where it is.")
    ] = False,
) -> None:
    """Run the main job on real disks: publish, replicate to three regions, share, pull, compare.

    Everything happens in a temporary folder on free ports, and is stopped and removed at the end.
    """
    if image is not None and not image.exists():
        raise UsageProblem(f"There is no file {image}.")
    folder = _folder(image)
    layout = Layout(folder / "data")
    tell = Narrator()
    with _on_its_own(layout, folder):
        try:
            _story(tell, folder, image, ports)
            if keep:
                tell.step("Everything runs on")
                tell.say("Stop it with `stoa down`, and remove the folder.")
                tell.show(f"export STOA_HOME={shlex.quote(str(layout.data))}", short=False)
            else:
                tell.step("Everything is stopped and removed")
                tell.show("stoa down")
        except BaseException as error:
            _show_logs(layout, error)
            _remove(layout, folder)
            raise
        if not keep:
            _remove(layout, folder)
    tell.say(next_steps(layout.read_client() if keep else None))
    tell.say(f"\nThe demo took {tell.seconds:.0f} s.")


def _story(tell: Narrator, folder: Path, image: Path | None, ports: str) -> None:
    tell.define("DEMO", str(folder))
    tell.step("Two disks")
    if image is None:
        os_disk = images.make_os_disk(folder / "os.img")
    else:
        os_disk = images.described(image.absolute(), "your image")
    disks = job.Disks(os_disk, images.make_data_disk(folder / "data.img"))
    for disk in (disks.os, disks.data):
        tell.say(
            f"{disk.path}: {disk.what}, {human_bytes(disk.size)}, of which "
            f"{human_bytes(disk.data)} are not zero"
        )
    tell.step("The three services, on this machine")
    tell.run("up", "-d", "--ports", ports)
    job.make_regions(tell)
    job.publish(tell, disks)
    job.share(tell)
    job.consume(tell, folder, disks)
    job.community(tell, folder)


def _folder(image: Path | None) -> Path:
    """A new folder where there is room.

    Raises:
        CliError: there is none.
    """
    os_bytes = images.OS_DISK_BYTES // 2 if image is None else image.stat().st_size
    needed = _COPIES * (os_bytes + images.DATA_DISK_BYTES // 2)
    parents = [Path(tempfile.gettempdir()), *(Path(one) for one in _FOLDERS)]
    for parent in parents:
        if parent.is_dir() and shutil.disk_usage(parent).free >= needed:
            return Path(tempfile.mkdtemp(prefix="stoa-demo-", dir=parent))
    raise CliError(
        f"The demo needs {human_bytes(needed)} of room.",
        why=(f"there is less in {' and '.join(str(one) for one in parents)}",),
        todo="Set TMPDIR to a folder with more.",
    )


@contextmanager
def _on_its_own(layout: Layout, folder: Path) -> Iterator[None]:
    """Keep the commands of the demo away from the user's installation and contexts."""
    before = dict(os.environ)
    kept = {name: value for name, value in before.items() if _is_kept(name)}
    kept |= {"STOA_HOME": str(layout.data), "STOA_CONTEXTS": str(folder / "contexts.toml")}
    handler = signal.signal(signal.SIGTERM, _interrupt)
    _set_environment(kept)
    try:
        yield
    finally:
        _set_environment(before)
        signal.signal(signal.SIGTERM, handler)


def _is_kept(name: str) -> bool:
    return not name.startswith("STOA_") or name == FILE_VARIABLE


def _set_environment(wanted: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(wanted)


def _interrupt(_: int, __: FrameType | None) -> None:
    """A SIGTERM ends the demo as Ctrl-C does: with everything stopped and removed."""
    raise KeyboardInterrupt


def _remove(layout: Layout, folder: Path) -> None:
    """Stop what runs and remove the folder."""
    stop(layout, tell=note)
    shutil.rmtree(folder)


def _show_logs(layout: Layout, error: BaseException) -> None:
    """Show how the logs of the services end, before they are removed."""
    if not isinstance(error, CliError):
        return
    for service in SERVICES:
        log = layout.log(service)
        if log.exists():
            lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
            note("\n".join((f"--- the end of {log.name}", *lines)))
