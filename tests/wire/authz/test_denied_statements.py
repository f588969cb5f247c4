"""Threat T8: whoever may not do something costs authz no statement about it."""

import re

import grpc
import pytest

from cli.installation.identity import make_token
from tests.wire.denied_statements import guarded, request, send

NAMES = ("Audit", "DenyAssignment", "Directory", "EligibleAssignment", "RoleAssignment")
# How new the policy is, which says nothing of what was asked about.
HEAD = re.compile(r"^SELECT policy_head\.[\w., ]+\s+FROM policy_head\s+WHERE policy_head.id = \S+$")
GUARDED = guarded([f"stoa.authz.v1.{name}Service" for name in NAMES])


@pytest.mark.parametrize("name", GUARDED)
def test_t8_authz_looks_nothing_up_for_whom_the_method_is_not(authz, world, name):
    method = GUARDED[name]
    user, group = world.user(), world.group()
    there = {
        "subscription": world.subscription().rpartition("/")[2],
        "user": user.rpartition("/")[2],
        "group": group.rpartition("/")[2],
        "management_group": "default",
        "tenant": "default",
    }
    token = make_token(authz.layout, subject="nobody", tenant="default")
    # What was written a moment ago is read once, by whoever decides next.
    authz.stores.head.current()
    for ids in (there, dict.fromkeys(there, "absent")):
        sent = request(method, "absent", **ids)
        with authz.db.statements() as statements:
            code = send(authz._plain, method, sent, token)
        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert [one for one in statements if not HEAD.search(one)] == []
