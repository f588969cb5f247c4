"""The page of all settings, written from the dataclasses that the services are configured with."""

from typing import Final

from services.authz.config import Config as AuthzConfig
from services.catalog.config import Config as CatalogConfig
from services.kernel.config import SettingDoc, describe
from services.replication.config import Config as ReplicationConfig

CONFIGS: Final = {
    "catalog": CatalogConfig,
    "replication": ReplicationConfig,
    "authz": AuthzConfig,
}

INTRODUCTION: Final = """\
# Settings

A service takes each setting from its environment variable, else from its section of the file
given with `--config`, else the default. A setting without a default is required. Everything
that is wrong is reported at the start, all at once; `stoa config` checks the same without
starting and prints what holds.

| Type | In the file | In a variable |
|---|---|---|
| string, path | `"text"` | text |
| integer, number | `4`, `0.5` | the same |
| boolean | `true`, `false` | `true`, `false`, `1`, `0`, `yes`, `no` |
| list of X | `["a", "b"]` | `a,b` |
| table of X | `{a = "x", b = "y"}` | `a=x,b=y` |

`stoa up` and `stoa init` write a file in which everything required is set. Logs, metrics and
traces have the standard variables of OpenTelemetry: see
[operating](../guides/operating.md#logs-and-traces).
"""


def settings_page() -> str:
    """Write the settings of all services, in the order in which they are declared."""
    lines = [INTRODUCTION]
    for service, config in CONFIGS.items():
        lines += [f"## {service}\n", f"Section `[{service}]`.\n"]
        lines += ["| Setting | Variable | Type | Default | Meaning |", "|---|---|---|---|---|"]
        lines += [_row(setting) for setting in describe(config, service)]
        lines.append("")
    return "\n".join(lines)


def _row(setting: SettingDoc) -> str:
    meaning = setting.doc + (" Secret: never printed." if setting.secret else "")
    # Markdown would take <path> for a tag.
    meaning = meaning.replace("|", "\\|").replace("<", "&lt;")
    return (
        f"| `{setting.name}` | `{setting.variable}` | {setting.type} | {_default(setting)} "
        f"| {meaning} |"
    )


def _default(setting: SettingDoc) -> str:
    if setting.default is None:
        return "required"
    return f"`{setting.default}`" if setting.default else "empty"
