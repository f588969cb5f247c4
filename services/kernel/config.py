"""Settings of a service: defaults, one TOML file, environment variables, in that order.

A service declares one frozen dataclass whose fields are made by `setting`:

    @dataclass(frozen=True, slots=True)
    class Config:
        client_port: int = setting(7401, doc="Port of the client listener.")
        page_secret: str = setting(doc="Signs page tokens.", secret=True)

The section of the file is named after the service, and `STOA_CATALOG_CLIENT_PORT` is the
variable of the field above. Everything that is wrong is reported at once.
"""

import dataclasses
import os
import re
import tomllib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")

REDACTED: Final = "***"

_DOC, _SECRET, _CHECK = "doc", "secret", "check"
_PASSWORD = re.compile(r"(?<=://)([^/@:\s]*):[^/@\s]*@")
_PARAMETER = re.compile(r"(?i)([?&][^=&#\s]*(?:key|secret|token|password|sig)[^=&#\s]*=)[^&#,\s]*")
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class ConfigError(Exception):
    """The settings of a service are wrong; `problems` lists everything that is."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("wrong settings:\n" + "\n".join(f"  {problem}" for problem in problems))
        self.problems: Final = tuple(problems)


@dataclass(frozen=True, slots=True)
class SettingDoc:
    """One setting as the reference shows it; `default` is None where it is required."""

    name: str
    variable: str
    type: str
    default: str | None
    doc: str
    secret: bool


def setting(
    default: Any = MISSING,
    *,
    doc: str,
    secret: bool = False,
    check: Callable[[Any], str | None] | None = None,
) -> Any:
    """Declare a setting, required where it has no default.

    `check` says what is wrong with a value, or None. A secret is never printed.
    """
    metadata = {_DOC: doc, _SECRET: secret, _CHECK: check}
    if isinstance(default, Mapping):
        # Read-only, but a dataclass takes nothing for that which cannot be hashed.
        return dataclasses.field(
            default_factory=lambda: default, repr=not secret, kw_only=True, metadata=metadata
        )
    return dataclasses.field(default=default, repr=not secret, kw_only=True, metadata=metadata)


def load(
    cls: type[T],
    service: str,
    *,
    file: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> T:
    """Fill the settings of a service from defaults, the file and the environment.

    A method `problems(self) -> Iterator[str]` of the class is asked for what is wrong with
    the settings taken together.

    Raises:
        ConfigError: anything is missing, unknown, of another type or out of bounds.
    """
    problems: list[str] = []
    given = _from_file(service, file, problems) | _from_environment(service, environ)
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, (origin, raw) in given.items():
        if name not in fields:
            problems.append(f"{origin}: there is no such setting")
            continue
        try:
            value = _converted(raw, hints[name])
        except ValueError as error:
            problems.append(f"{origin}: {error}")
            continue
        check = fields[name].metadata.get(_CHECK)
        if check is not None and (problem := check(value)):
            problems.append(f"{origin}: {problem}")
        values[name] = value
    problems += [
        f"{variable(service, name)}: a value is required"
        for name, field in fields.items()
        if name not in given and field.default is MISSING and field.default_factory is MISSING
    ]
    if problems:
        raise ConfigError(problems)
    config = cls(**values)
    whole = getattr(config, "problems", None)
    if whole is not None and (found := list(whole())):
        raise ConfigError(found)
    return config


def variable(service: str, name: str) -> str:
    """Answer the environment variable of a setting."""
    return f"STOA_{service}_{name}".upper()


def describe(cls: type, service: str) -> Iterator[SettingDoc]:
    """Answer the settings in their order, for the reference."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        made = field.default_factory
        default = field.default if made is MISSING else made()
        required = default is MISSING
        yield SettingDoc(
            name=field.name,
            variable=variable(service, field.name),
            type=_type_name(hints[field.name]),
            default=None if required else _printed(field, default),
            doc=field.metadata[_DOC],
            secret=field.metadata[_SECRET],
        )


def printable(config: Any) -> dict[str, str]:
    """Answer the settings as text, without secrets and without passwords in URLs."""
    return {
        field.name: _printed(field, getattr(config, field.name))
        for field in dataclasses.fields(config)
    }


def redact_url(text: str) -> str:
    """Replace the password of every URL in a text, and parameters that are named like one."""
    return _PARAMETER.sub(rf"\1{REDACTED}", _PASSWORD.sub(rf"\1:{REDACTED}@", text))


def between(low: float, high: float) -> Callable[[float], str | None]:
    """Make the check of a number that lies within two bounds, both included."""
    return lambda value: None if low <= value <= high else f"must be from {low} to {high}"


def one_of(*allowed: str) -> Callable[[str], str | None]:
    """Make the check of a string that is one of a few."""
    return lambda value: None if value in allowed else f"must be one of {', '.join(allowed)}"


def _from_file(service: str, file: Path | None, problems: list[str]) -> dict[str, tuple[str, Any]]:
    if file is None:
        return {}
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{file}: {error.strerror}")
        return {}
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problems.append(f"{file}: {error}")
        return {}
    section = content.get(service, {})
    if not isinstance(section, dict):
        problems.append(f"{file}: {service} is not a section")
        return {}
    return {name: (f"{file}: {service}.{name}", value) for name, value in section.items()}


def _from_environment(service: str, environ: Mapping[str, str]) -> dict[str, tuple[str, Any]]:
    prefix = variable(service, "")
    return {
        name.removeprefix(prefix).lower(): (name, value)
        for name, value in environ.items()
        if name.startswith(prefix)
    }


def _converted(raw: Any, hint: Any) -> Any:
    """Turn what the file or the environment holds into a value of the field's type."""
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        # The only union is with None, which the empty string stands for.
        (inner,) = [one for one in arguments if one is not types.NoneType]
        return None if not raw and raw is not False and raw != 0 else _converted(raw, inner)
    if origin is tuple:
        parts = [part.strip() for part in raw.split(",")] if isinstance(raw, str) else raw
        if not isinstance(parts, list):
            raise ValueError("a list is expected")
        return tuple(_converted(part, arguments[0]) for part in parts if part != "")
    if origin is Mapping:
        return _mapping(raw, arguments[1])
    if hint is bool:
        found = raw if isinstance(raw, bool) else _BOOLEANS.get(str(raw).lower())
        if found is None:
            raise ValueError("true or false is expected")
        return found
    return _scalar(raw, hint)


def _scalar(raw: Any, hint: Any) -> Any:
    if isinstance(raw, bool | list | dict):
        raise ValueError(f"{_type_name(hint)} is expected")  # noqa: TRY004 - one kind to catch
    if hint in {str, Path}:
        return hint(raw)
    try:
        # A fraction is not silently cut off where an integer is expected.
        return hint(str(raw))
    except ValueError as error:
        raise ValueError(f"{_type_name(hint)} is expected") from error


def _mapping(raw: Any, hint: Any) -> Mapping[str, Any]:
    if isinstance(raw, str):
        pairs = [part.partition("=") for part in raw.split(",") if part.strip()]
        if not all(separator for _, separator, _ in pairs):
            raise ValueError("a list of name=value is expected")
        raw = {name.strip(): value.strip() for name, _, value in pairs}
    if not isinstance(raw, dict):
        raise ValueError("a table is expected")  # noqa: TRY004 - one kind to catch
    return types.MappingProxyType({name: _converted(value, hint) for name, value in raw.items()})


def _printed(field: "dataclasses.Field[Any]", value: Any) -> str:
    if value is None:
        return ""
    if field.metadata.get(_SECRET):
        return REDACTED if value else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return redact_url(",".join(str(one) for one in value))
    if isinstance(value, Mapping):
        return redact_url(",".join(f"{name}={one}" for name, one in value.items()))
    return redact_url(str(value))


def _type_name(hint: Any) -> str:
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        return " or ".join(_type_name(one) for one in arguments if one is not types.NoneType)
    if origin is tuple:
        return f"list of {_type_name(arguments[0])}"
    if origin is Mapping:
        return f"table of {_type_name(arguments[1])}"
    names = {str: "string", int: "integer", float: "number", bool: "boolean", Path: "path"}
    return names.get(hint, str(hint))
