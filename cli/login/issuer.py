"""What the command asks a token issuer: where it is asked, to begin a sign-in, for tokens.

OpenID Connect Discovery 1.0, and the device flow of OAuth 2.0 (RFC 8628), for which the command
needs no browser and no secret.
"""

import ipaddress
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cli.errors import CliError, ExitCode, UsageProblem

TIMEOUT: Final = 10.0
MAX_DOCUMENT: Final = 256 * 1024
DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
# Seconds between two questions where the issuer says nothing, and what is added when it is asked
# to slow down (RFC 8628 sections 3.2 and 3.5).
INTERVAL: Final = 5.0
SLOWER: Final = 5.0

_FOLDER: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Device:
    """A sign-in that waits for somebody to enter `user_code` at `uri`, until `expires`."""

    code: str
    user_code: str
    uri: str
    complete_uri: str
    interval: float
    expires: float


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in gives; `expires` in seconds since 1970, `refresh` empty for none."""

    access: str
    expires: float
    refresh: str = ""


class IssuerRefusal(CliError):
    """The issuer answered with an error of OAuth (RFC 6749 section 5.2); `error` names it."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(
            "The token issuer refuses.",
            why=tuple(filter(None, (error, description))),
            code=ExitCode.DENIED,
        )
        self.error: Final = error


class TokenIssuer:
    """An issuer whose endpoints were discovered, asked as one client of it."""

    def __init__(
        self, issuer: str, client_id: str, *, wait: Callable[[float], None] = time.sleep
    ) -> None:
        """Ask the issuer where it is asked; `wait` passes the seconds between two questions.

        Raises:
            CliError: it does not answer, is another one than it was asked for, or has no device
                flow.
        """
        self._client_id: Final = client_id
        self._wait: Final = wait
        issuer = issuer.rstrip("/")
        _require_secure(issuer)
        document = _fetch(issuer + _FOLDER)
        # Else whoever can answer in its place could have the tokens of another one sent here.
        if str(document.get("issuer", "")).rstrip("/") != issuer:
            raise CliError(
                "The token issuer cannot be used.",
                why=(f"{issuer} says that it is {document.get('issuer')}",),
                todo="Name the issuer as it names itself: stoa context add NAME --issuer URL ...",
            )
        self._token: Final = _endpoint(document, "token_endpoint")
        self._device: Final = _endpoint(document, "device_authorization_endpoint")

    def begin(self, scope: str) -> Device:
        """Begin a sign-in.

        Raises:
            CliError: the issuer refuses, or does not answer.
        """
        answer = _fetch(self._device, {"client_id": self._client_id, "scope": scope})
        try:
            return Device(
                code=str(answer["device_code"]),
                user_code=str(answer["user_code"]),
                uri=str(answer["verification_uri"]),
                complete_uri=str(answer.get("verification_uri_complete", "")),
                interval=float(answer.get("interval", INTERVAL)),
                expires=time.time() + float(answer["expires_in"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _strange(self._device, f"it lacks {error}") from error

    def finish(self, device: Device) -> Tokens:
        """Wait until somebody has signed in.

        Raises:
            CliError: they refused, or were not in time.
        """
        interval = device.interval
        form = {"grant_type": DEVICE_GRANT, "device_code": device.code}
        while time.time() < device.expires:
            self._wait(interval)
            try:
                return self._tokens(form)
            except IssuerRefusal as refusal:
                match refusal.error:
                    case "authorization_pending":
                        pass
                    case "slow_down":
                        interval += SLOWER
                    case "expired_token":
                        break
                    case "access_denied":
                        raise CliError("The sign-in was refused.", code=ExitCode.DENIED) from None
                    case _:
                        raise
            except CliError as error:
                # Silence is waited out, at longer and longer intervals (RFC 8628 section 3.5).
                if error.code is not ExitCode.UNAVAILABLE:
                    raise
                interval *= 2
        raise CliError(
            "Nobody signed in in time.", todo="Begin again: stoa login", code=ExitCode.DENIED
        )

    def refresh(self, refresh_token: str) -> Tokens:
        """Exchange a refresh token; where the issuer gives no new one, it stays good.

        Raises:
            IssuerRefusal: it is good no more.
            CliError: the issuer does not answer.
        """
        found = self._tokens({"grant_type": "refresh_token", "refresh_token": refresh_token})
        return Tokens(found.access, found.expires, found.refresh or refresh_token)

    def _tokens(self, form: Mapping[str, str]) -> Tokens:
        answer = _fetch(self._token, {**form, "client_id": self._client_id})
        access, kind = answer.get("access_token"), str(answer.get("token_type", ""))
        if not isinstance(access, str) or kind.lower() != "bearer":
            raise _strange(self._token, "it gives no bearer token")
        try:
            lifetime = float(answer.get("expires_in", 0))
        except (TypeError, ValueError) as error:
            raise _strange(self._token, "expires_in is no number") from error
        return Tokens(access, time.time() + lifetime, str(answer.get("refresh_token") or ""))


def _endpoint(document: Mapping[str, Any], name: str) -> str:
    found = document.get(name)
    if not isinstance(found, str):
        raise CliError(
            "The token issuer cannot be used.",
            why=(f"it has no {name}",),
            todo="Give the context a command that prints a token: stoa context add NAME "
            "--token-command COMMAND",
        )
    _require_secure(found)
    return found


def _require_secure(url: str) -> None:
    """Refuse to send codes and tokens where others can read them.

    Raises:
        UsageProblem: it is neither https nor on this machine.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and _is_loopback(parts.hostname or ""):
        return
    raise UsageProblem(f"A token issuer is asked by https: {url}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is sent is for the issuer alone."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _fetch(url: str, form: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    body = urllib.parse.urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(url, body, {"Accept": "application/json"})  # noqa: S310 checked
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT) as answer:
            content = answer.read(MAX_DOCUMENT + 1)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(url, error.code, error.read(MAX_DOCUMENT)) from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise CliError(
            "The token issuer does not answer.",
            why=(f"{url}: {reason}",),
            todo="Try again. An authority of its own is named by SSL_CERT_FILE.",
            code=ExitCode.UNAVAILABLE,
        ) from error
    document = _document(content)
    if document is None:
        raise _strange(url, "it is no JSON object")
    return document


def _refusal(url: str, status: int, content: bytes) -> CliError:
    document = _document(content) or {}
    if 400 <= status < 500 and isinstance(document.get("error"), str):
        return IssuerRefusal(document["error"], str(document.get("error_description", "")))
    code = ExitCode.UNAVAILABLE if status >= 500 else ExitCode.GENERAL
    return CliError("The token issuer does not answer.", why=(f"{url}: HTTP {status}",), code=code)


def _document(content: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(content) if len(content) <= MAX_DOCUMENT else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _strange(url: str, why: str) -> CliError:
    return CliError("The token issuer answers something else.", why=(f"{url}: {why}",))
