"""OpenStack Glance, to measure beside: installed into a cache folder, two stores, no Keystone.

Identity comes from request headers, so Glance verifies no token while Stoa does: that favours
Glance. Needs a C compiler for uWSGI. Its listener is on loopback and takes anybody's word for who
they are; it lives only as long as the benchmark.
"""

import configparser
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PACKAGES: Final = ("glance==33.0.0", "uwsgi==2.0.31")
CACHE: Final = Path(__file__).resolve().parent.parent / ".cache" / "glance"
WORKERS: Final = 2
HEADERS: Final = {
    "X-Identity-Status": "Confirmed",
    "X-User-Id": "bench",
    "X-Project-Id": "bench",
    "X-Roles": "admin,member,reader",
    "X-User-Domain-Id": "default",
    "X-Project-Domain-Id": "default",
}
_PIPELINE: Final = "cors http_proxy_to_wsgi versionnegotiation osprofiler context rootapp"


@dataclass(frozen=True)
class Glance:
    """A running Glance; `workers` are the processes that serve."""

    port: int
    parent: int

    @property
    def workers(self) -> list[int]:
        return [
            int(folder.name)
            for folder in Path("/proc").glob("[0-9]*")
            if _parent_of(folder) == self.parent
        ]


@contextmanager
def glance(data: Path) -> Iterator[Glance]:
    """Serve from `data` until the block ends."""
    environment = _installed()
    data.mkdir(parents=True)
    etc = _configure(environment, data)
    port = _free_port()
    subprocess.run(
        [
            environment / "bin" / "glance-manage",
            "--config-file",
            etc / "glance-api.conf",
            "db_sync",
        ],
        check=True,
        capture_output=True,
    )
    ini = _write(
        data / "uwsgi.ini",
        {
            "uwsgi": {
                "module": "glance.wsgi.api:application",
                "http-socket": f"127.0.0.1:{port}",
                "processes": str(WORKERS),
                "threads": "8",
                "master": "true",
                "enable-threads": "true",
                "lazy-apps": "true",
                "die-on-term": "true",
                "thunder-lock": "true",
                "buffer-size": "65535",
                "http-chunked-input": "true",
                "disable-logging": "true",
                "logto": str(data / "uwsgi.log"),
            }
        },
    )
    process = subprocess.Popen(
        [environment / "bin" / "uwsgi", "--virtualenv", environment, "--ini", ini],
        env=os.environ | {"OS_GLANCE_CONFIG_DIR": str(etc)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _await(port, process)
        yield Glance(port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _installed() -> Path:
    """Answer the environment that Glance is installed in, made at the first use."""
    done = CACHE / "installed"
    if not done.exists():
        print("installing Glance, once", flush=True)
        subprocess.run([sys.executable, "-m", "venv", CACHE], check=True)
        pip = str(CACHE / "bin" / "pip")
        subprocess.run([pip, "install", "--quiet", *PACKAGES], check=True)
        done.touch()
    return CACHE


def _configure(environment: Path, data: Path) -> Path:
    etc = data / "etc"
    etc.mkdir()
    paste = configparser.RawConfigParser(strict=False)
    paste.optionxform = str  # type: ignore[assignment,method-assign] # names keep their case
    paste.read(environment / "etc" / "glance" / "glance-api-paste.ini")
    # The context filter alone: policies are checked, Keystone is not asked.
    paste.set("composite:api", "bench", _PIPELINE)
    front = "composite:glance-api-bench"
    paste.add_section(front)
    paste.set(front, "paste.composite_factory", "glance.api:root_app_factory")
    paste.set(front, "/", "api")
    paste.set(front, "/healthcheck", "healthcheck")
    with (etc / "glance-api-paste.ini").open("w") as file:
        paste.write(file)
    folders = {name: data / name for name in ("fast", "slow", "staging", "tasks", "lock")}
    for folder in folders.values():
        folder.mkdir()
    stores = {
        section: {"filesystem_store_datadir": str(folders[name])}
        for section, name in {
            "fast": "fast",
            "slow": "slow",
            "os_glance_staging_store": "staging",
            "os_glance_tasks_store": "tasks",
        }.items()
    }
    _write(
        etc / "glance-api.conf",
        {
            "DEFAULT": {
                "enabled_backends": "fast:file, slow:file",
                "log_file": str(data / "api.log"),
                "enabled_import_methods": "[glance-direct,copy-image]",
            },
            "database": {"connection": f"sqlite:///{data / 'glance.sqlite'}"},
            "glance_store": {"default_backend": "fast"},
            "paste_deploy": {
                "flavor": "bench",
                "config_file": str(etc / "glance-api-paste.ini"),
            },
            "oslo_concurrency": {"lock_path": str(folders["lock"])},
            "wsgi": {"task_pool_threads": "4"},
            **stores,
        },
    )
    return etc


def _write(path: Path, sections: dict[str, dict[str, str]]) -> Path:
    lines = []
    for section, values in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {value}" for name, value in values.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError("Glance ended; see uwsgi.log")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("Glance does not listen")


def _parent_of(folder: Path) -> int:
    try:
        return int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0
