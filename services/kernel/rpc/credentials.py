"""TLS of listeners and channels: certificates from files, taken anew when the files change."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

import grpc

# How often the files are looked at, in seconds.
LOOK_EVERY: Final = 1.0

_LOG = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: a certificate chain and its key, and who signs the other side's certificate."""

    certificate: Path
    key: Path
    authorities: Path | None = None


@dataclass(frozen=True, slots=True)
class Pem:
    """What the files held at one moment."""

    certificate: bytes
    key: bytes
    authorities: bytes | None

    @classmethod
    def read(cls, files: TlsFiles) -> "Pem":
        """Read the files.

        Raises:
            OSError: one cannot be read.
        """
        return cls(
            files.certificate.read_bytes(),
            files.key.read_bytes(),
            files.authorities.read_bytes() if files.authorities is not None else None,
        )


class Watched(Generic[T]):
    """Something built from TLS files, built again when they have changed.

    Files are replaced one after the other, so a moment may show a certificate and another's
    key: what cannot be built is tried again later, and what was built last stays in use.
    """

    def __init__(self, files: TlsFiles, build: Callable[[Pem], T]) -> None:
        self._files: Final = files
        self._build: Final = build
        self._lock: Final = threading.Lock()
        self._pem = Pem.read(files)
        self._built = build(self._pem)
        self._looked = time.monotonic()

    def get(self) -> T:
        """Answer what the files give, looking at them at most once per `LOOK_EVERY`."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY or not self._lock.acquire(blocking=False):
            return self._built
        try:
            self._looked = now
            pem = Pem.read(self._files)
            if pem != self._pem:
                self._built = self._build(pem)
                self._pem = pem
                _LOG.info("the certificate in %s was taken anew", self._files.certificate)
        except (OSError, ValueError, RuntimeError) as error:
            _LOG.warning("the certificate in %s stays: %s", self._files.certificate, error)
        finally:
            self._lock.release()
        return self._built


def server_credentials(files: TlsFiles, *, require_client: bool) -> grpc.ServerCredentials:
    """Build credentials whose certificate follows the files without a restart.

    Works for both servers. With `require_client` nobody connects without a certificate of the
    authorities.

    Raises:
        OSError: a file cannot be read.
        ValueError: clients are required and no authorities are given, or the key is not that
            of the certificate.
    """
    if require_client and files.authorities is None:
        raise ValueError("authorities are needed to require client certificates")
    watched = Watched(files, _configuration)
    current = watched.get()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal current
        found = watched.get()
        if found is current:
            return None
        current = found
        return found

    return grpc.dynamic_ssl_server_credentials(
        current,
        fetch,  # type: ignore[arg-type] # None means unchanged, which the stubs do not know
        require_client_authentication=require_client,
    )


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    check_pair(pem)
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.certificate)], pem.authorities)


def check_pair(pem: Pem) -> None:
    """Refuse files that do not belong together; gRPC would take them and fail later.

    Raises:
        ValueError: the key is not that of the certificate, or anything is no PEM.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    certificate = x509.load_pem_x509_certificate(pem.certificate)
    if load_pem_private_key(pem.key, None).public_key() != certificate.public_key():
        raise ValueError("the key is not that of the certificate")
    if pem.authorities is not None:
        x509.load_pem_x509_certificates(pem.authorities)
