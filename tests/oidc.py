"""An OpenID Connect issuer on loopback: discovery, keys, and the device flow of RFC 8628."""

import json
import ssl
import threading
import time
import urllib.parse
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from tests.wire.kernel.certificates import Authority


@dataclass(slots=True)
class Device:
    """A sign-in that a device began; `answers` are given before its own, one a request."""

    client: str
    scope: str
    answers: list[str] = field(default_factory=list)


class OidcIssuer:
    """Signs with the last of its keys; counts what is fetched; may be stopped and started."""

    def __init__(self, folder: Path, *, secure: bool = True) -> None:
        self.keys: list[tuple[str, ec.EllipticCurvePrivateKey]] = []
        self.fetched: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.devices: dict[str, Device] = {}
        self.refresh_tokens: dict[str, str] = {}
        self.claims: dict[str, Any] = {"aud": ["catalog.stoa.dev"], "sub": "ann"}
        # What the next device is answered before it gets tokens, and how its sign-in begins.
        self.answers: list[str] = []
        self.interval: float = 0
        self.lifetime = 600
        self.discovery: dict[str, Any] = {}
        # In the place of the set of its keys.
        self.published: dict[str, Any] | None = None
        self._tls = None
        if secure:
            authority = Authority(f"identity provider {uuid.uuid4().hex}")
            files = authority.issue(folder, "")
            self.authority = folder / "ca.crt"
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(files.certificate, files.key)
        self._port = 0
        self.rotate()
        self.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self._port}"

    def rotate(self, *, keep: bool = True) -> str:
        """Sign with a new key from now on; answer its id."""
        kid = uuid.uuid4().hex
        self.keys = [*(self.keys if keep else ()), (kid, ec.generate_private_key(ec.SECP256R1()))]
        return kid

    def start(self) -> None:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetched.append(self.path)
                found = issuer._get(self.path)
                self._answer(404 if found is None else 200, found or {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = dict(urllib.parse.parse_qsl(body))
                issuer.forms.append(form | {"path": self.path})
                self._answer(*issuer._post(self.path, form))

            def _answer(self, code: int, document: Mapping[str, Any]) -> None:
                content = json.dumps(document).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_port
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        """Be away: connections are refused until `start`, at the same port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def token(self, **changes: Any) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "iat": now, "exp": now + self.lifetime, **self.claims, **changes}
        kid, key = self.keys[-1]
        said = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(said, key, "ES256", headers={"kid": kid})

    def key_set(self) -> dict[str, Any]:
        to_jwk = jwt.algorithms.ECAlgorithm.to_jwk
        return {
            "keys": [
                dict(to_jwk(key.public_key(), as_dict=True)) | {"kid": kid, "use": "sig"}
                for kid, key in self.keys
            ]
        }

    def _get(self, path: str) -> Mapping[str, Any] | None:
        if path == "/.well-known/openid-configuration":
            return {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "device_authorization_endpoint": f"{self.url}/device",
                "token_endpoint": f"{self.url}/token",
            } | self.discovery
        return (self.published or self.key_set()) if path == "/keys" else None

    def _post(self, path: str, form: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        if path == "/device":
            code = uuid.uuid4().hex
            self.devices[code] = Device(form["client_id"], form["scope"], list(self.answers))
            return 200, {
                "device_code": code,
                "user_code": "WDJB-MJHT",
                "verification_uri": f"{self.url}/activate",
                "verification_uri_complete": f"{self.url}/activate?code=WDJB-MJHT",
                "expires_in": 300,
                "interval": self.interval,
            }
        if path == "/token" and form.get("grant_type", "").endswith("device_code"):
            device = self.devices.get(form["device_code"])
            if device is None or device.client != form["client_id"]:
                return 400, {"error": "invalid_grant"}
            if device.answers:
                return 400, {"error": device.answers.pop(0)}
            del self.devices[form["device_code"]]
            return 200, self._tokens()
        if path == "/token" and form.get("grant_type") == "refresh_token":
            # Each is good once (RFC 9700 section 4.14.2).
            if self.refresh_tokens.pop(form["refresh_token"], None) != form["client_id"]:
                return 400, {"error": "invalid_grant", "error_description": "used before"}
            return 200, self._tokens()
        return 404, {"error": "invalid_request"}

    def _tokens(self) -> dict[str, Any]:
        refresh = uuid.uuid4().hex
        self.refresh_tokens[refresh] = self.forms[-1]["client_id"]
        return {
            "access_token": self.token(),
            "token_type": "Bearer",
            "expires_in": self.lifetime,
            "refresh_token": refresh,
        }
