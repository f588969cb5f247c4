"""Addresses that lead a service to where their sender cannot go (threat T4)."""

from typing import Final

# `{port}` is one of this machine on which a test listens.
ADDRESSES: Final = (
    "http://169.254.169.254/latest/meta-data/iam",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://2852039166/latest",
    "http://0xa9fea9fe/latest",
    "http://0251.0376.0251.0376/latest",
    "http://169.16689662/latest",
    "http://[::ffff:169.254.169.254]/latest",
    "http://[::ffff:a9fe:a9fe]/latest",
    "http://[fd00:ec2::254]/latest",
    "http://10.0.0.1/os.vhd",
    "http://192.168.0.1/os.vhd",
    "http://[fe80::1]/os.vhd",
    "http://127.0.0.1:{port}/os.vhd",
    "http://127.1:{port}/os.vhd",
    "http://2130706433:{port}/os.vhd",
    "http://0x7f000001:{port}/os.vhd",
    "http://0177.0.0.1:{port}/os.vhd",
    "http://0:{port}/os.vhd",
    "http://0.0.0.0:{port}/os.vhd",
    "http://[::1]:{port}/os.vhd",
    "http://[::ffff:127.0.0.1]:{port}/os.vhd",
    "http://localhost:{port}/os.vhd",
    "HTTP://LOCALHOST:{port}/os.vhd",
    # A name whose address is another one when it is asked for again.
    "http://rebinding.test:{port}/os.vhd",
    "http://example.org@127.0.0.1:{port}/os.vhd",
    "http://127.0.0.1:{port}#@example.org/os.vhd",
    "http://127.0.0.1:{port}\\@example.org/os.vhd",
    "https://127.0.0.1:{port}/os.vhd",
    "//127.0.0.1:{port}/os.vhd",
    "\\\\127.0.0.1@{port}\\os.vhd",
    "ftp://127.0.0.1:{port}/os.vhd",
    "gopher://127.0.0.1:{port}/_GET",
    "file:///etc/passwd",
    "s3://bucket/os.vhd?endpoint=http://127.0.0.1:{port}",
    "az://container/os.vhd?endpoint=http://127.0.0.1:{port}",
)
