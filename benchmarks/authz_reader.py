"""Somebody with a thousand grants in an installation, for benchmarks to ask questions as."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from stoa.authz.v1 import (
    directory_service_pb2_grpc,
    group_pb2,
    role_assignment_pb2,
    role_assignment_service_pb2,
    role_assignment_service_pb2_grpc,
    user_pb2,
)

from benchmarks.installation import Installation

READER = "roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
GALLERIES = 1_000
QUESTIONS = 20_000


class Reader:
    """Somebody in a group who may read a thousand galleries, half of them through the group."""

    def __init__(self, one: Installation) -> None:
        settled = one.client["client"]
        self.tenant, self.subscription = settled["tenant"], settled["subscription"]
        self.names = [
            f"subscriptions/{self.subscription}/resourceGroups/rg{number % 20}/galleries/g{number}"
            for number in range(GALLERIES)
        ]
        with grpc.insecure_channel(one.endpoint("authz")) as channel:
            self._create(channel, (("authorization", f"Bearer {one.token()}"),))
        self.token = one.token("--subject", "reader")

    def _create(self, channel: grpc.Channel, metadata: Any) -> None:
        directory = directory_service_pb2_grpc.DirectoryServiceStub(channel)
        tenant = f"tenants/{self.tenant}"
        user = user_pb2.User(display_name="R", user_principal_name="reader@example.org")
        directory.CreateUser(
            user_pb2.CreateUserRequest(parent=tenant, user_id="reader", user=user),
            metadata=metadata,
        )
        directory.CreateGroup(
            group_pb2.CreateGroupRequest(
                parent=tenant, group_id="readers", group=group_pb2.Group(display_name="R")
            ),
            metadata=metadata,
        )
        directory.AddGroupMembers(
            group_pb2.AddGroupMembersRequest(
                group=f"{tenant}/groups/readers", members=[f"{tenant}/users/reader"]
            ),
            metadata=metadata,
        )
        assignments = role_assignment_service_pb2_grpc.RoleAssignmentServiceStub(channel)

        def assign(number: int) -> None:
            who = ("users/reader", "groups/readers")[number % 2]
            assignments.CreateRoleAssignment(
                role_assignment_service_pb2.CreateRoleAssignmentRequest(
                    parent=self.names[number],
                    role_assignment=role_assignment_pb2.RoleAssignment(
                        role_definition=READER, principal=f"{tenant}/{who}"
                    ),
                ),
                metadata=metadata,
            )

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(assign, range(GALLERIES)))

    def questions(self) -> list[str]:
        chosen = random.Random(4)
        return [
            f"{chosen.choice(self.names)}/images/i{number % 7}/versions/1.0.{number}"
            for number in range(QUESTIONS)
        ]
