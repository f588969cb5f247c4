"""Roles in the JSON of the original: what `az role definition` and its API read and answer.

Three forms are in use: flat with capitals (`Name`, `Actions`), flat as it is listed (`roleName`,
`permissions`), and that of the API, with all of it below `properties`. Names of properties are
read in any letter case, and those that mean nothing here are passed over.
"""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stoa.authz.v1.permission_pb2 import Permission
from stoa.authz.v1.role_definition_pb2 import RoleDefinition

from cli.errors import UsageProblem

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MANAGEMENT_GROUP: Final = "providers/microsoft.management/managementgroups/"
_LISTS: Final = {
    "actions": "actions",
    "notactions": "not_actions",
    "dataactions": "data_actions",
    "notdataactions": "not_data_actions",
}


@dataclass(frozen=True, slots=True)
class RoleFile:
    """A role as a file says it; `id` is empty where it has none."""

    id: str
    role: RoleDefinition


def read(path: str, tenant: str) -> RoleFile:
    """Read a role from a file, or from standard input for `-`.

    `tenant` (`tenants/{t}`) is whose management groups are meant, for the original does not say.

    Raises:
        UsageProblem: it cannot be read, or is no role.
    """
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        sent = json.loads(text)
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageProblem(f"{path} is no JSON: {error}") from error
    # What `az role definition list` answers is a list.
    if isinstance(sent, list) and len(sent) == 1:
        sent = sent[0]
    if not isinstance(sent, Mapping):
        raise UsageProblem(f"{path} holds no role.", todo="One is an object with AssignableScopes")
    return _role(_folded(sent), path, tenant)


def _role(sent: Mapping[str, Any], path: str, tenant: str) -> RoleFile:
    inner = _folded(sent.get("properties") or {})
    merged = {**inner, **sent}
    if merged.get("iscustom") is False or _text(merged, "roletype", path) == "BuiltInRole":
        raise UsageProblem(f"{path} holds a built-in role.", todo="Those are here already")
    name, title = _text(merged, "name", path), _text(merged, "rolename", path)
    # In the flat form with capitals `Name` is what people see, in the others the id.
    own = next((one for one in (_text(merged, "id", path), name) if one), "").rpartition("/")[2]
    return RoleFile(
        own if _UUID.fullmatch(own) else "",
        RoleDefinition(
            role_name=title or name,
            description=_text(merged, "description", path),
            permissions=_permissions(merged, path),
            assignable_scopes=[
                _scope(one, tenant) for one in _texts(merged, "assignablescopes", path)
            ],
        ),
    )


def _permissions(sent: Mapping[str, Any], path: str) -> list[Permission]:
    listed = sent.get("permissions")
    if listed is None:
        listed = [sent]
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise UsageProblem(f"{path}: permissions is a list of objects.")
    found = []
    for one in map(_folded, listed):
        patterns = {ours: _texts(one, theirs, path) for theirs, ours in _LISTS.items()}
        # Conditions of roles would narrow them: a role without them would give more.
        if one.get("condition"):
            raise UsageProblem(f"{path}: conditions of permissions are not understood.")
        found.append(Permission(**patterns))
    return found


def _scope(text: str, tenant: str) -> str:
    """Spell a scope of the original as a name: `/subscriptions/X` is `subscriptions/X`."""
    if text == "/":
        return text
    plain = text.strip("/")
    if plain.lower().startswith(_MANAGEMENT_GROUP):
        return f"{tenant}/managementGroups/{plain[len(_MANAGEMENT_GROUP) :]}"
    return plain


def _folded(sent: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name).lower(): value for name, value in sent.items()}


def _text(sent: Mapping[str, Any], name: str, path: str) -> str:
    value = sent.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UsageProblem(f"{path}: {name} is a text.")
    return value


def _texts(sent: Mapping[str, Any], name: str, path: str) -> list[str]:
    value = sent.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UsageProblem(f"{path}: {name} is a list of texts.")
    return value
