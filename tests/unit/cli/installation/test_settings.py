import importlib
from pathlib import Path

import pytest

from cli.installation.layout import SERVICES, Layout
from cli.installation.writing import write
from services.kernel.config import load


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "given",
    [{}, {"listen": "0.0.0.0", "hosts": {"catalog": "c"}, "owner": "ada"}],
    ids=["loopback", "beyond"],
)
def test_a_service_takes_what_is_written_for_it(
    service: str, given: dict[str, object], tmp_path: Path
) -> None:
    layout = Layout(tmp_path / "home")
    write(layout, given)
    module = importlib.import_module(f"services.{service}.config")
    config = load(module.Config, service, file=layout.config, environ={})
    assert config.client_tls is ("listen" in given)
    for name in ("tls_certificate", "tls_key", "tls_authorities"):
        assert getattr(config, name).exists()
    assert Path(config.token_keys).exists()
