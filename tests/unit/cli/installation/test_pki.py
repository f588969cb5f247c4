import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from cli.installation.layout import SERVICES, Layout
from cli.installation.pki import write_pki


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(tmp_path)
    write_pki(found, dict.fromkeys(SERVICES, ()))
    return found


def certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def names(file: Path) -> x509.SubjectAlternativeName:
    return certificate(file).extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_keys_are_for_the_owner_alone(layout: Layout) -> None:
    keys = [layout.key(name) for name in ("ca", *SERVICES)]
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert stat.S_IMODE(layout.pki.stat().st_mode) == 0o700


@pytest.mark.parametrize("service", SERVICES)
def test_a_certificate_names_workload_and_this_machine(service: str, layout: Layout) -> None:
    named = names(layout.certificate(service))
    assert named.get_values_for_type(x509.UniformResourceIdentifier) == [
        f"spiffe://stoa/svc/{service}"
    ]
    assert named.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(one) for one in named.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_certificate_is_good_for_both_sides(service: str, layout: Layout) -> None:
    found = certificate(layout.certificate(service))
    store = Store([certificate(layout.ca_certificate)])
    builder = PolicyBuilder().store(store)
    builder.build_server_verifier(x509.DNSName("localhost")).verify(found, [])
    builder.build_client_verifier().verify(found, [])
    usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_writing_again_changes_nothing(layout: Layout) -> None:
    before = {file: file.read_bytes() for file in layout.pki.iterdir()}
    write_pki(layout, dict.fromkeys(SERVICES, ()))
    assert {file: file.read_bytes() for file in layout.pki.iterdir()} == before


def test_another_host_makes_a_new_certificate_of_the_same_key(layout: Layout) -> None:
    key = layout.key("catalog").read_bytes()
    replication = layout.certificate("replication").read_bytes()
    write_pki(layout, {"catalog": ("catalog.example", "10.0.0.7"), "replication": ()})
    named = names(layout.certificate("catalog"))
    assert named.get_values_for_type(x509.DNSName) == ["localhost", "catalog.example"]
    assert "10.0.0.7" in map(str, named.get_values_for_type(x509.IPAddress))
    assert layout.key("catalog").read_bytes() == key
    assert layout.certificate("replication").read_bytes() == replication
