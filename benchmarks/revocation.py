"""How long a revocation takes to reach the policy of every process, as its caller is told.

    python -m benchmarks.revocation [--rounds 20]

A role assignment is deleted with `wait_for_replicas`: the call is answered when every live replica
has reported the revision of the deletion. Beside it the same deletion without the wait.
"""

import argparse
import statistics
import time

import grpc
from stoa.authz.v1 import (
    directory_service_pb2_grpc,
    role_assignment_pb2,
    role_assignment_service_pb2,
    role_assignment_service_pb2_grpc,
    user_pb2,
)

from benchmarks.installation import Installation, installation

READER = "roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"


def revoke(one: Installation, rounds: int) -> tuple[list[float], list[float]]:
    metadata = (("authorization", f"Bearer {one.token()}"),)
    settled = one.client["client"]
    tenant, subscription = settled["tenant"], settled["subscription"]
    with grpc.insecure_channel(one.endpoint("authz")) as channel:
        directory = directory_service_pb2_grpc.DirectoryServiceStub(channel)
        directory.CreateUser(
            user_pb2.CreateUserRequest(
                parent=f"tenants/{tenant}",
                user_id="reader",
                user=user_pb2.User(display_name="R", user_principal_name="reader@example.org"),
            ),
            metadata=metadata,
        )
        assignments = role_assignment_service_pb2_grpc.RoleAssignmentServiceStub(channel)
        taken: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(rounds):
            for wait, times in taken.items():
                made = assignments.CreateRoleAssignment(
                    role_assignment_service_pb2.CreateRoleAssignmentRequest(
                        parent=f"subscriptions/{subscription}",
                        role_assignment=role_assignment_pb2.RoleAssignment(
                            role_definition=READER, principal=f"tenants/{tenant}/users/reader"
                        ),
                    ),
                    metadata=metadata,
                )
                began = time.perf_counter()
                assignments.DeleteRoleAssignment(
                    role_assignment_service_pb2.DeleteRoleAssignmentRequest(
                        name=made.name, wait_for_replicas=wait
                    ),
                    metadata=metadata,
                )
                times.append(time.perf_counter() - began)
    return taken[True], taken[False]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    chosen = parser.parse_args()
    with installation() as one:
        waited, plain = revoke(one, chosen.rounds)
    for title, times in (("reached every process", waited), ("committed in authz", plain)):
        print(
            f"{title:22} median {statistics.median(times) * 1e3:6.1f} ms"
            f"  longest {max(times) * 1e3:6.1f} ms"
        )
    print("goal: effective everywhere p99 < 1 s, never over 5 s")


if __name__ == "__main__":
    main()
