"""The certificate authority of an installation and the certificates of its services.

Every service has one certificate: it names the workload (`spiffe://stoa/svc/<name>`) to the
other services, and the hosts for whoever connects by TLS.
"""

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cli.installation.files import private_folder, write_public, write_secret
from cli.installation.layout import Layout

TRUST_DOMAIN: Final = "stoa"
_CA_LIFETIME: Final = timedelta(days=3650)
_LIFETIME: Final = timedelta(days=825)
# A certificate with less than this left is made anew.
_RENEWED_BEFORE: Final = timedelta(days=60)
# Clocks of two machines differ.
_BACKDATED: Final = timedelta(minutes=5)


def write_pki(layout: Layout, hosts: dict[str, tuple[str, ...]]) -> None:
    """Write what is missing: the authority, and a certificate for each service in `hosts`.

    A key that exists is kept. Its certificate is made anew where it is about to expire or does
    not name all hosts; services take it without a restart.
    """
    private_folder(layout.pki)
    authority = _Authority.load_or_create(layout)
    for service, names in hosts.items():
        key_file, file = layout.key(service), layout.certificate(service)
        if not key_file.exists():
            write_secret(key_file, new_key_pem())
        key = load_key(key_file.read_bytes())
        wanted = _names(service, names)
        if not file.exists() or not _serves(file.read_bytes(), key, wanted):
            write_public(file, authority.issue(service, key, wanted))


def new_key_pem() -> bytes:
    """A fresh P-256 key, as PEM (PKCS #8)."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Read a key.

    Raises:
        ValueError: it is no elliptic-curve key.
    """
    key = load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is no elliptic-curve key")  # noqa: TRY004 bad content of a file
    return key


class _Authority:
    """Issues certificates."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key: Final = key
        self._certificate: Final = certificate

    @classmethod
    def load_or_create(cls, layout: Layout) -> "_Authority":
        key_file, file = layout.key("ca"), layout.ca_certificate
        if not key_file.exists():
            write_secret(key_file, new_key_pem())
        key = load_key(key_file.read_bytes())
        if not file.exists():
            write_public(file, _self_signed(key).public_bytes(Encoding.PEM))
        return cls(key, x509.load_pem_x509_certificate(file.read_bytes()))

    def issue(
        self, service: str, key: ec.EllipticCurvePrivateKey, names: list[x509.GeneralName]
    ) -> bytes:
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(f"stoa {service}"))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(min(now + _LIFETIME, self._certificate.not_valid_after_utc))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(sign_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM)


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    now = datetime.now(UTC)
    name = _name("stoa installation")
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _names(service: str, hosts: Iterable[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier(f"spiffe://{TRUST_DOMAIN}/svc/{service}")
    ]
    for host in dict.fromkeys(("localhost", "127.0.0.1", "::1", *hosts)):
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            found.append(x509.DNSName(host))
    return found


def _serves(pem: bytes, key: ec.EllipticCurvePrivateKey, wanted: list[x509.GeneralName]) -> bool:
    certificate = x509.load_pem_x509_certificate(pem)
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        certificate.public_key() == key.public_key()
        and certificate.not_valid_after_utc - datetime.now(UTC) > _RENEWED_BEFORE
        and set(wanted) <= set(named)
    )
