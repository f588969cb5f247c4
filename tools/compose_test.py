"""Run the main job against docker-compose.yml, with docker or podman, and take it down again.

Where no image registry answers (`STOA_LOCAL_IMAGES=1`, as in CI) the base images are built from
the distribution's packages, under the same names, so that Dockerfile and compose file stay as they
are. Everything podman makes lies below .cache.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "compose"
CI_FILES = ROOT / "deploy" / "ci"
PROJECT = f"stoa-test-{os.getpid()}"
PODMAN_COMPOSE = "podman-compose==1.6.0"
PYTHON_IMAGE = "docker.io/library/python:3.11-slim"
POSTGRES_IMAGE = "docker.io/library/postgres:17"
STOA_IMAGE = "localhost/stoa:dev"
SERVICES = ("authz", "replication", "catalog")
READY_SECONDS = 180
HEALTH_SECONDS = 2


class Engine:
    """Docker, or podman with podman-compose."""

    def __init__(self, command: Sequence[str], compose: Sequence[str], *, podman: bool) -> None:
        self.command = list(command)
        self.compose = [*compose, "--project-name", PROJECT]
        self.podman = podman

    def run(self, *arguments: str, quiet: bool = False, check: bool = True) -> int:
        """Run a command of the engine."""
        return run([*self.command, *arguments], quiet=quiet, check=check)

    def containers(self) -> list[str]:
        """Answer the ids of the project's containers."""
        label = "io.podman.compose.project" if self.podman else "com.docker.compose.project"
        listed = subprocess.run(
            [*self.command, "ps", "--all", "--quiet", "--filter", f"label={label}={PROJECT}"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return listed.stdout.split()


def run(command: Sequence[str], *, quiet: bool = False, check: bool = True) -> int:
    """Run a command; what a quiet one says is shown when it fails."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
    )
    if check and done.returncode:
        if quiet:
            sys.stderr.buffer.write(done.stdout)
        raise SystemExit(f"{' '.join(command[:4])} ... ended with {done.returncode}")
    return done.returncode


def answers(*command: str) -> bool:
    """Say whether a command is there and succeeds."""
    return shutil.which(command[0]) is not None and run(command, quiet=True, check=False) == 0


def find_engine() -> Engine | None:
    """Answer docker where its engine answers, else podman, else none."""
    if answers("docker", "compose", "version") and answers("docker", "info"):
        return Engine(["docker"], ["docker", "compose"], podman=False)
    if shutil.which("podman") is None:
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    wrapper = CACHE / "podman"
    runtime = ["--runtime", shutil.which("runc") or "runc"] if shutil.which("runc") else []
    options = [*runtime, "--root", str(CACHE / "root"), "--runroot", str(CACHE / "run")]
    wrapper.write_text(f'#!/bin/sh\nexec podman {" ".join(options)} "$@"\n')
    wrapper.chmod(0o755)
    os.environ.setdefault("CONTAINERS_CONF", str(CI_FILES / "containers.conf"))
    tools = CACHE / "venv"
    if not (tools / "bin" / "podman-compose").exists():
        venv.create(tools, with_pip=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([str(tools / "bin" / "python"), *install, PODMAN_COMPOSE])
    compose = [str(tools / "bin" / "podman-compose"), "--podman-path", str(wrapper)]
    return Engine([str(wrapper)], compose, podman=True)


def build_base_images(engine: Engine) -> None:
    """Build what the Dockerfile and the compose file name from the distribution's packages."""
    if engine.run("image", "exists", PYTHON_IMAGE, quiet=True, check=False):
        root = CACHE / "python-root"
        shutil.rmtree(root, ignore_errors=True)
        include = "python3,python3-venv,python3-pip,ca-certificates"
        bootstrap = ["debootstrap", "--variant=minbase", f"--include={include}"]
        run([*bootstrap, "bookworm", str(root)], quiet=True)
        for path in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(root / path, ignore_errors=True)
        (root / "usr/bin/python").symlink_to("python3")
        # A machine behind a proxy of its own has its own authorities.
        shutil.copyfile(
            "/etc/ssl/certs/ca-certificates.crt", root / "etc/ssl/certs/ca-certificates.crt"
        )
        archive = CACHE / "python.tar"
        run(["tar", "--directory", str(root), "--create", "--file", str(archive), "."])
        shutil.rmtree(root)
        change = ("--change", 'CMD ["python3"]')
        engine.run("import", *change, str(archive), PYTHON_IMAGE, quiet=True)
        archive.unlink()
    if engine.run("image", "exists", POSTGRES_IMAGE, quiet=True, check=False):
        file = str(CI_FILES / "postgres.Dockerfile")
        build = ("build", "--network", "host", "--pull=never", "--format", "docker")
        engine.run(*build, "--file", file, "--tag", POSTGRES_IMAGE, str(CI_FILES), quiet=True)


def build_stoa(engine: Engine) -> None:
    """Build the image of the services from this tree."""
    options = ("--pull=never", "--format", "docker") if engine.podman else ()
    engine.run("build", "--network", "host", *options, "--tag", STOA_IMAGE, ".", quiet=True)


@contextmanager
def health_checks(engine: Engine) -> Iterator[None]:
    """Run the health checks of the containers again and again.

    Podman leaves that to systemd timers, which a container host without systemd does not have.
    """
    stop = threading.Event()

    def check() -> None:
        while not stop.wait(HEALTH_SECONDS):
            for container in engine.containers():
                engine.run("healthcheck", "run", container, quiet=True, check=False)

    thread = threading.Thread(target=check, daemon=True)
    if engine.podman:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if engine.podman:
            thread.join()


def wait_until_healthy(engine: Engine) -> None:
    """Wait until every service says that it is well."""
    deadline = time.monotonic() + READY_SECONDS
    waiting = list(SERVICES)
    while waiting:
        if time.monotonic() > deadline:
            raise SystemExit(f"not healthy after {READY_SECONDS} s: {', '.join(waiting)}")
        status = [*engine.compose, "exec", "-T", waiting[0], "stoa", "status"]
        if run([*status, f"--service={waiting[0]}"], quiet=True, check=False) == 0:
            waiting.pop(0)
        else:
            time.sleep(1)


def main_job(engine: Engine) -> None:
    """Pipe the script of the main job into a shell in the catalog's container."""
    script = ROOT / "tests" / "compose" / "main_job.sh"
    container = [*engine.compose, "exec", "-T", "catalog", "sh", "-s"]
    with script.open("rb") as source:
        done = subprocess.run(container, cwd=ROOT, stdin=source, check=False)
    if done.returncode:
        raise SystemExit(f"the main job ended with {done.returncode}")


def main() -> int:
    """Bring everything up, run the main job, take everything down."""
    began = time.monotonic()
    engine = find_engine()
    if engine is None:
        print("compose-test: neither docker nor podman answers", file=sys.stderr)
        return 1 if os.environ.get("STOA_REQUIRE_TOOLS") == "1" else 0
    # Free ports: the services are used from inside.
    for service in SERVICES:
        os.environ[f"STOA_{service.upper()}_PORT"] = ""
    if os.environ.get("STOA_LOCAL_IMAGES") == "1":
        build_base_images(engine)
    build_stoa(engine)
    try:
        with health_checks(engine):
            run([*engine.compose, "up", "--detach"], quiet=True)
            wait_until_healthy(engine)
            main_job(engine)
    except SystemExit:
        run([*engine.compose, "logs", "--tail", "50"], check=False)
        raise
    finally:
        run([*engine.compose, "down", "--volumes"], quiet=True, check=False)
    print(f"compose-test: 1 passed in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
