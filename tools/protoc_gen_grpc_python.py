"""Generate Python gRPC code and its type stubs, as a protoc plugin.

grpcio-tools compiles its generator into a protoc of its own and ships no plugin executable, which
is the only thing that buf can call. This one hands buf's request on to that protoc, for the files
that have a service: for the others both generators would answer modules without content.
"""

import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2
from grpc_tools import protoc


def generate(request: plugin_pb2.CodeGeneratorRequest) -> plugin_pb2.CodeGeneratorResponse:
    """Answer `_pb2_grpc.py` and `_pb2_grpc.pyi` of every requested file that has a service."""
    response = plugin_pb2.CodeGeneratorResponse(
        supported_features=plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    )
    requested = set(request.file_to_generate)
    with_service = [f.name for f in request.proto_file if f.name in requested and f.service]
    if not with_service:
        return response

    with tempfile.TemporaryDirectory() as scratch:
        descriptors = Path(scratch, "request.binpb")
        descriptors.write_bytes(
            descriptor_pb2.FileDescriptorSet(file=request.proto_file).SerializeToString()
        )
        out = Path(scratch, "out")
        out.mkdir()
        # The first argument stands for the program's name. Anything that protoc says goes to
        # stderr, where buf shows it.
        status = protoc.main(
            [
                "",
                f"--descriptor_set_in={descriptors}",
                f"--grpc_python_out={out}",
                f"--mypy_grpc_out=quiet:{out}",
                *with_service,
            ]
        )
        if status != 0:
            response.error = f"protoc ended with status {status}"
            return response
        for path in sorted(out.rglob("*.py*")):
            response.file.add(name=path.relative_to(out).as_posix(), content=path.read_text())
    return response


def main() -> None:
    """Read a CodeGeneratorRequest from stdin, write a CodeGeneratorResponse to stdout."""
    request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    sys.stdout.buffer.write(generate(request).SerializeToString())


if __name__ == "__main__":
    main()
