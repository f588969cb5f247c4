"""Write docs/reference: the packages of the contract, reasons, rules, threats and settings.

The comments of the protos are the documentation; buf keeps them in the descriptors. What shows a
rule, provokes a reason or tries a threat is read from the tests. `--check` writes nothing and fails
where a page is not what would be written.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.longrunning import operations_pb2
from google.protobuf import descriptor_pb2
from stoa.type.v1 import method_policy_pb2

from tools.reference_settings import settings_page
from tools.reference_tests import rules_page, shown_by, threats_page

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "reference"
HEADER = "<!-- Written by `make docs` from the {}; do not edit. -->\n\n"

# Field numbers of descriptor.proto: the parts of a path in SourceCodeInfo.
FILE_MESSAGE, FILE_ENUM, FILE_SERVICE = 4, 5, 6
MESSAGE_FIELD, MESSAGE_NESTED, MESSAGE_ENUM = 2, 3, 4
ENUM_VALUE, SERVICE_METHOD = 2, 2

RULES = {
    method_policy_pb2.ACCESS_RULE_OWN: "what is the caller's own",
    method_policy_pb2.ACCESS_RULE_BY_NAME: "by the kind of name",
    method_policy_pb2.ACCESS_RULE_WORKLOAD: "services only",
}
Path_ = tuple[int, ...]


@dataclass(frozen=True)
class File:
    """One proto file with its comments, by path."""

    proto: descriptor_pb2.FileDescriptorProto
    comments: dict[Path_, str]

    def comment(self, *path: int) -> str:
        """Answer the comment that leads an element, as paragraphs."""
        return self.comments.get(path, "")


def read_contract() -> list[File]:
    """Compile the protos with buf and answer ours, in the order of their names."""
    built = subprocess.run(
        ["buf", "build", "--as-file-descriptor-set", "--output", "-"],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    files = []
    for proto in descriptor_pb2.FileDescriptorSet.FromString(built).file:
        if proto.package.startswith("stoa."):
            comments = {
                tuple(at.path): "\n".join(
                    line.removeprefix(" ") for line in at.leading_comments.strip("\n").split("\n")
                )
                for at in proto.source_code_info.location
                if at.leading_comments
            }
            files.append(File(proto, comments))
    return sorted(files, key=lambda file: file.proto.name)


def cell(text: str) -> str:
    """Fold a comment into one table cell."""
    return " ".join(text.split()).replace("|", "\\|")


def type_name(field: descriptor_pb2.FieldDescriptorProto) -> str:
    """Name the type of a field as a reader of the contract would."""
    if field.type_name:
        name = field.type_name.removeprefix(".")
        if name.startswith("stoa."):
            name = name.split(".v1.", 1)[1]
    else:
        name = descriptor_pb2.FieldDescriptorProto.Type.Name(field.type)
        name = name.removeprefix("TYPE_").lower()
    if field.label == descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED:
        entry = field.type_name.endswith("Entry")
        return "map" if entry else f"repeated {name}"
    return f"optional {name}" if field.proto3_optional else name


def access(method: descriptor_pb2.MethodDescriptorProto) -> str:
    """Say in one line who may call a method."""
    policy = method.options.Extensions[method_policy_pb2.policy]
    if policy.rule == method_policy_pb2.ACCESS_RULE_ACTION:
        text = f"`{policy.action}` at `{policy.scope_field or '/'}`"
    else:
        text = RULES[policy.rule]
    if policy.further_actions:
        text += "; further: " + ", ".join(f"`{action}`" for action in policy.further_actions)
    if policy.workloads:
        text += "; services: " + ", ".join(policy.workloads)
    return text


def signature(method: descriptor_pb2.MethodDescriptorProto) -> str:
    """Write a method as `Name(Request) -> Response`, streams and operations marked."""
    request = method.input_type.rsplit(".", 1)[1]
    response = method.output_type.rsplit(".", 1)[1]
    # Its stubs do not say what it extends.
    operation_info: Any = operations_pb2.operation_info
    if answer := method.options.Extensions[operation_info].response_type:
        response = f"Operation<{answer.rsplit('.', 1)[-1]}>"
    if method.client_streaming:
        request = f"stream {request}"
    if method.server_streaming:
        response = f"stream {response}"
    return f"{method.name}({request}) -> {response}"


def service_lines(file: File) -> Iterator[str]:
    """Write the services of a file: every method with its comment and its access rule."""
    for at, service in enumerate(file.proto.service):
        yield f"## {service.name}\n\n{file.comment(FILE_SERVICE, at)}\n"
        for index, method in enumerate(service.method):
            yield f"### {service.name}.{method.name}\n\n`{signature(method)}`\n"
            yield f"{file.comment(FILE_SERVICE, at, SERVICE_METHOD, index)}\n"
            yield f"Access: {access(method)}.\n"


def message_lines(
    file: File, message: descriptor_pb2.DescriptorProto, path: Path_, prefix: str = ""
) -> Iterator[str]:
    """Write a message as a table of its fields, then what is nested in it."""
    if message.options.map_entry:
        return
    name = f"{prefix}{message.name}"
    yield f"### {name}\n\n{file.comment(*path)}\n"
    if message.field:
        yield "| Field | Type | Meaning |\n|---|---|---|"
        for index, field in enumerate(message.field):
            meaning = cell(file.comment(*path, MESSAGE_FIELD, index))
            yield f"| `{field.name}` | {type_name(field)} | {meaning} |"
        yield ""
    for index, nested in enumerate(message.nested_type):
        yield from message_lines(file, nested, (*path, MESSAGE_NESTED, index), f"{name}.")
    for index, enum in enumerate(message.enum_type):
        yield from enum_lines(file, enum, (*path, MESSAGE_ENUM, index), f"{name}.")


def enum_lines(
    file: File, enum: descriptor_pb2.EnumDescriptorProto, path: Path_, prefix: str = ""
) -> Iterator[str]:
    """Write an enum as a table of its values."""
    yield f"### {prefix}{enum.name}\n\n{file.comment(*path)}\n"
    yield "| Value | Meaning |\n|---|---|"
    for index, value in enumerate(enum.value):
        yield f"| `{value.name}` | {cell(file.comment(*path, ENUM_VALUE, index))} |"
    yield ""


def package_page(package: str, files: list[File]) -> str:
    """Write the page of a package: services first, then messages and enums."""
    lines = [f"# {package}\n"]
    for file in files:
        lines += service_lines(file)
    lines.append("## Messages and enums\n")
    for file in files:
        for index, message in enumerate(file.proto.message_type):
            lines += message_lines(file, message, (FILE_MESSAGE, index))
        for index, enum in enumerate(file.proto.enum_type):
            if enum.name != "ErrorReason":
                lines += enum_lines(file, enum, (FILE_ENUM, index))
    return "\n".join(lines)


def reasons_page(files: list[File]) -> str:
    """Write the error reasons of all packages, as they stand on the wire."""
    lines = ["# Error reasons\n"]
    lines.append(
        "Every error of a service carries `google.rpc.ErrorInfo`. Its domain is the answering "
        "service, for example `catalog.stoa.dev`; its reason is one of these. A test below "
        "`tests/` that provokes it stands beside it.\n\n"
        "What gRPC answers by itself has none: `RESOURCE_EXHAUSTED` for a message above 4 MiB, "
        "in either direction; `UNIMPLEMENTED` for a method that is not there; `UNAVAILABLE` and "
        "`DEADLINE_EXCEEDED` where the server cannot be reached, or not in time.\n"
    )
    for file in files:
        for index, enum in enumerate(file.proto.enum_type):
            if enum.name != "ErrorReason":
                continue
            package = file.proto.package
            lines.append(f"## {package}\n\n| Reason | Code and meaning | Shown by |\n|---|---|---|")
            for at, value in enumerate(enum.value):
                if value.number:
                    reason = value.name.removeprefix("ERROR_REASON_")
                    meaning = cell(file.comment(FILE_ENUM, index, ENUM_VALUE, at))
                    lines.append(f"| `{reason}` | {meaning} | {shown_by(package, reason)} |")
            lines.append("")
    return "\n".join(lines)


def pages() -> dict[Path, str]:
    """Answer every page with its text."""
    files = read_contract()
    written = {}
    for package in sorted({file.proto.package for file in files}):
        of_package = [file for file in files if file.proto.package == package]
        name = package.removeprefix("stoa.").removesuffix(".v1")
        written[PAGES / f"{name}.md"] = package_page(package, of_package)
    found = {path: HEADER.format("protos") + text for path, text in written.items()}
    found[PAGES / "errors.md"] = HEADER.format("protos and the tests") + reasons_page(files)
    found[PAGES / "rules.md"] = HEADER.format("table in tests/rules.toml") + rules_page()
    found[PAGES / "threats.md"] = HEADER.format("table in tests/threats.toml") + threats_page()
    found[PAGES / "settings.md"] = HEADER.format("settings of the services") + settings_page()
    return {path: text.rstrip("\n") + "\n" for path, text in found.items()}


def main() -> int:
    """Write the pages, or say which are not up to date."""
    stale = [p for p, text in pages().items() if not p.exists() or p.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what `make docs` writes", file=sys.stderr)
        return 1 if stale else 0
    PAGES.mkdir(parents=True, exist_ok=True)
    for path, text in pages().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
