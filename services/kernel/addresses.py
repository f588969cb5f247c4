"""Which addresses are this machine's alone."""

import ipaddress


def is_loopback_host(host: str) -> bool:
    """Whether a host is reached from this machine alone; a name is, where it is `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_loopback(address: str) -> bool:
    """Whether `host:port`, or `unix:path`, is reached from this machine alone."""
    return address.startswith("unix:") or is_loopback_host(address.rpartition(":")[0].strip("[]"))
