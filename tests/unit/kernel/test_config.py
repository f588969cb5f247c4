from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.kernel.config import (
    ConfigError,
    between,
    describe,
    load,
    one_of,
    printable,
    redact_url,
    setting,
)


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of every kind."""

    secret: str = setting(doc="A secret.", secret=True)
    port: int = setting(7401, doc="A port.", check=between(0, 65535))
    ratio: float = setting(0.5, doc="A ratio.")
    enabled: bool = setting(default=True, doc="A switch.")
    level: str = setting("info", doc="A level.", check=one_of("info", "debug"))
    url: str = setting("sqlite:///a.db", doc="A database.")
    directory: Path | None = setting(None, doc="A directory.")
    issuers: tuple[str, ...] = setting((), doc="A list.")
    ports: tuple[int, ...] = setting((1, 2), doc="Numbers.")
    stores: Mapping[str, str] = setting(None, doc="A table.")

    def problems(self) -> Iterator[str]:
        if self.level == "debug" and self.port == 1:
            yield "debug needs another port"


def read(file: Path | None = None, **environ: str) -> Config:
    return load(Config, "things", file=file, environ={"STOA_THINGS_SECRET": "s3cret"} | environ)


def problems(file: Path | None = None, **environ: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refused:
        read(file, **environ)
    return refused.value.problems


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stoa.toml"


def test_defaults_hold_where_nothing_is_given():
    config = read(PATH="/bin", STOA_OTHER_PORT="x")
    assert (config.port, config.enabled, config.directory) == (7401, True, None)


def test_the_file_overrides_defaults_and_the_environment_the_file(file):
    file.write_text("[things]\nport = 1\nratio = 2\n[other]\nport = 9\n")
    config = read(file, STOA_THINGS_PORT="3")
    assert (config.port, config.ratio) == (3, 2.0)


def test_values_of_every_type_come_from_the_environment():
    config = read(
        STOA_THINGS_ENABLED="No",
        STOA_THINGS_DIRECTORY="/data",
        STOA_THINGS_ISSUERS="https://a, https://b",
        STOA_THINGS_PORTS="7, 0",
        STOA_THINGS_STORES="a=s3://x, b = gs://y?z=1",
    )
    assert config.enabled is False
    assert config.directory == Path("/data")
    assert config.issuers == ("https://a", "https://b")
    assert config.ports == (7, 0)
    assert config.stores == {"a": "s3://x", "b": "gs://y?z=1"}


def test_values_of_every_type_come_from_the_file(file):
    file.write_text(
        '[things]\nenabled = false\ndirectory = "/data"\nports = [7, 0]\n'
        '[things.stores]\na = "s3://x"\n'
    )
    config = read(file)
    assert (config.enabled, config.directory, config.ports) == (False, Path("/data"), (7, 0))
    assert config.stores == {"a": "s3://x"}


def test_everything_that_is_wrong_is_said_at_once(file):
    file.write_text("[things]\nprot = 1\nenabled = 3\nports = 5\n")
    with pytest.raises(ConfigError) as refused:
        load(
            Config,
            "things",
            file=file,
            environ={
                "STOA_THINGS_PORT": "70000",
                "STOA_THINGS_RATIO": "half",
                "STOA_THINGS_LEVEL": "loud",
                "STOA_THINGS_STORES": "a",
                "STOA_THINGS_URI": "x",
            },
        )
    assert set(refused.value.problems) == {
        f"{file}: things.prot: there is no such setting",
        f"{file}: things.enabled: true or false is expected",
        f"{file}: things.ports: a list is expected",
        "STOA_THINGS_PORT: must be from 0 to 65535",
        "STOA_THINGS_RATIO: number is expected",
        "STOA_THINGS_LEVEL: must be one of info, debug",
        "STOA_THINGS_STORES: a list of name=value is expected",
        "STOA_THINGS_URI: there is no such setting",
        "STOA_THINGS_SECRET: a value is required",
    }


def test_settings_that_contradict_each_other_are_refused():
    assert problems(STOA_THINGS_LEVEL="debug", STOA_THINGS_PORT="1") == (
        "debug needs another port",
    )


def test_a_fraction_is_no_integer(file):
    file.write_text("[things]\nport = 1.5\n")
    assert problems(file) == (f"{file}: things.port: integer is expected",)


def test_a_file_that_cannot_be_read_is_reported(file):
    assert problems(file) == (f"{file}: No such file or directory",)
    file.write_text("[things")
    assert problems(file)[0].startswith(f"{file}: ")
    file.write_text("things = 1")
    assert problems(file) == (f"{file}: things is not a section",)


def test_secrets_are_never_printed():
    config = read(STOA_THINGS_URL="postgresql://user:pa55word@host/db")
    printed = printable(config)
    assert printed["secret"] == "***"
    assert printed["url"] == "postgresql://user:***@host/db"
    assert "s3cret" not in repr(config)
    assert printed["ports"] == "1,2"
    assert printed["enabled"] == "true"


def test_a_wrong_secret_is_not_in_the_message():
    @dataclass(frozen=True)
    class Numbered:
        pin: int = setting(doc="A pin.", secret=True)

    with pytest.raises(ConfigError) as refused:
        load(Numbered, "things", environ={"STOA_THINGS_PIN": "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_the_reference_is_made_from_the_settings():
    docs = {doc.name: doc for doc in describe(Config, "things")}
    assert next(iter(docs)) == "secret"
    assert (docs["secret"].default, docs["secret"].secret) == (None, True)
    assert (docs["port"].variable, docs["port"].type) == ("STOA_THINGS_PORT", "integer")
    assert (docs["port"].default, docs["port"].doc) == ("7401", "A port.")
    assert docs["directory"].type == "path"
    assert docs["issuers"].type == "list of string"
    assert docs["stores"].type == "table of string"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:***@h/d"),
        ("a=s3://k:s@b,c=s3://b", "a=s3://k:***@b,c=s3://b"),
        ("https://host:443/a@b", "https://host:443/a@b"),
        ("postgresql://h/d?user=u&password=p", "postgresql://h/d?user=u&password=***"),
        (
            "a=s3://b?secret_access_key=s&region=x,c=gs://b",
            "a=s3://b?secret_access_key=***&region=x,c=gs://b",
        ),
    ],
)
def test_passwords_are_taken_out_of_urls(text, expected):
    assert redact_url(text) == expected
