"""What the parent process of a service does without: its children wait for what it imports."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("service", ["catalog", "replication"])
def test_a_parent_imports_nothing_that_only_its_children_need(service: str) -> None:
    program = (
        f"import sys; import services.{service}.bootstrap.program;"
        "print(*({'grpc', 'google', 'protovalidate', 'stoa', 'obstore'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout.strip() == ""
