"""Key sets are read from files and from https, and from nowhere else."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from services.kernel.rpc.jwks import MAX_DOCUMENT, reader


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/keys")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x" * (MAX_DOCUMENT + 10) if self.path == "/huge" else b"{}")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    read = reader(str(tmp_path / "keys.json"))
    for content in (b"1", b"2"):
        (tmp_path / "keys.json").write_bytes(content)
        assert read() == content


def test_a_url_is_fetched(url: str) -> None:
    assert reader(f"{url}/keys")() == b"{}"


def test_a_redirect_is_not_followed(url: str) -> None:
    with pytest.raises(OSError, match="302"):
        reader(f"{url}/moved")()


def test_a_huge_document_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="too large"):
        reader(f"{url}/huge")()


@pytest.mark.parametrize(
    "location", ["http://issuer.test/keys", "ftp://127.0.0.1/keys", "file:///etc/passwd"]
)
def test_nothing_but_https_reaches_another_machine(location: str) -> None:
    with pytest.raises(ValueError, match="https"):
        reader(location)
