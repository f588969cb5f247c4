"""ListAccessible: where somebody may do something."""

import random
import uuid
from contextlib import contextmanager

import grpc
import pytest
from stoa.authz.v1 import (
    access_pb2 as pb,
)
from stoa.authz.v1 import (
    check_pb2,
    decision_pb2,
    deny_assignment_pb2,
    deny_assignment_service_pb2,
    permission_pb2,
    sharing_grant_pb2,
    sharing_service_pb2,
)

from cli.installation.identity import make_token
from services.authz.bootstrap.serving import build_server
from services.authz.bootstrap.stores import stores_of
from services.kernel.ids import new_uid
from services.kernel.names import prefixes
from services.kernel.rpc.registry import Audience
from tests.wire.authz.consistency import demanding
from tests.wire.authz.installation import Stubs, refused

Code = grpc.StatusCode
READ = "Microsoft.Compute/galleries/read"
SHARED = "Microsoft.Compute/locations/sharedGalleries/images/versions/read"
COMMUNITY = "Microsoft.Compute/locations/communityGalleries/read"
ALLOWED = pb.AccessibleScope.EFFECT_ALLOWED
DENIED = pb.AccessibleScope.EFFECT_DENIED
HERE = pb.AccessibleScope.EFFECT_DENIED_HERE


def asking(action=READ, **more):
    return pb.ListAccessibleRequest(action=action, **more)


def entries(answer):
    return [(one.scope, one.effect) for one in answer.accessible_scopes]


def whole(stubs, request):
    """Every page, one after the other, with the revision of each."""
    found, at = [], set()
    while True:
        answer = stubs.questions.ListAccessible(request)
        found += entries(answer)
        at.add(answer.evaluated_at)
        if not answer.next_page_token:
            assert len(at) == 1
            return found
        assert len(answer.accessible_scopes) == request.page_size
        request.page_token = answer.next_page_token


def subject(principal):
    return decision_pb2.Subject(tenant="tenants/default", principal_id=principal.rpartition("/")[2])


def deny(world, scope, *principals, here=False):
    return world.owner.denies.CreateDenyAssignment(
        deny_assignment_service_pb2.CreateDenyAssignmentRequest(
            parent=scope,
            deny_assignment=deny_assignment_pb2.DenyAssignment(
                display_name="No reading",
                permissions=[permission_pb2.Permission(actions=["*/read"])],
                principals=principals,
                do_not_apply_to_child_scopes=here,
            ),
        )
    )


def share(world, gallery, step, mode="GROUPS", **names):
    return (
        world.installation.service()
        .sharing.ApplySharing(
            sharing_service_pb2.ApplySharingRequest(
                gallery=gallery,
                gallery_uid=new_uid(),
                sequence=1,
                profile=sharing_grant_pb2.SharingProfile(
                    mode=sharing_grant_pb2.SharingMode.Value(f"SHARING_MODE_{mode}"),
                    shared_id=world.id("shared"),
                    public_name=world.id("Public-") if mode == "COMMUNITY" else "",
                ),
                change=sharing_grant_pb2.SharingChange(
                    operation=sharing_grant_pb2.SharingOperation.Value(f"SHARING_OPERATION_{step}"),
                    **names,
                ),
                request_id=str(uuid.uuid4()),
            )
        )
        .grant.profile
    )


def test_a_grant_comes_out_as_its_scope_less_what_is_denied(world):
    user, one, two = world.user(), world.subscription(), world.subscription()
    gallery = f"{two}/resourceGroups/Images/galleries/Golden"
    world.assign(world.group(user), "Reader", one)
    world.assign(user, "Reader", f"{two}/resourceGroups/Images")
    deny(world, gallery, user)
    deny(world, f"{one}/resourceGroups/Other", user, here=True)
    assert entries(world.called(user).questions.ListAccessible(asking())) == [
        (one, ALLOWED),
        (f"{one}/resourceGroups/Other", HERE),
        (f"{two}/resourceGroups/Images", ALLOWED),
        (gallery, DENIED),
    ]
    under = asking(parent=gallery.upper().replace("SUBSCRIPTIONS", "subscriptions"))
    assert not world.called(user).questions.ListAccessible(under).accessible_scopes
    at = asking(parent=f"{one}/resourceGroups/rg")
    assert entries(world.called(user).questions.ListAccessible(at)) == [
        (f"{one}/resourceGroups/rg", ALLOWED)
    ]


def test_a_tenant_is_one_scope_or_the_subscriptions_in_it(world):
    user, one, two = world.user(), world.subscription(), world.subscription()
    world.assign(user, "Reader", "tenants/default")
    called = world.called(user).questions
    assert entries(called.ListAccessible(asking())) == [("tenants/default", ALLOWED)]
    root = "tenants/default/managementGroups/default"
    assert entries(called.ListAccessible(asking(parent=root))) == [(root, ALLOWED)]
    expanded = entries(called.ListAccessible(asking(expand_subscriptions=True)))
    assert {(one, ALLOWED), (two, ALLOWED)} <= set(expanded)
    assert ("tenants/default", ALLOWED) not in expanded


def test_who_holds_nothing_has_an_empty_list(world):
    user = world.user()
    world.assign(user, "Reader", world.subscription(), role_assignment_id="")
    write = asking("Microsoft.Compute/galleries/write")
    answer = world.called(user).questions.ListAccessible(write)
    assert not answer.accessible_scopes
    assert not answer.next_page_token
    assert answer.evaluated_at


def test_lists_equal_questions_about_each_scope_page_by_page(world):
    chance = random.Random(91)
    subscriptions = [world.subscription() for _ in range(3)]
    scopes = ["/", "tenants/default"]
    for subscription in subscriptions:
        group = f"{subscription}/resourceGroups/rg"
        scopes += [subscription, group]
        for name in ("a", "b"):
            gallery = f"{group}/galleries/{name}"
            scopes += [gallery, f"{gallery}/images/i", f"{gallery}/images/i/versions/1.0.0"]
    sizes = set()
    for _ in range(6):
        user = world.user()
        held = world.group(user)
        for scope in chance.sample(scopes[2:], 5):
            world.assign(chance.choice([user, held]), "Reader", scope)
        for scope in chance.sample(scopes[2:], 3):
            deny(world, scope, chance.choice([user, held]), here=chance.random() < 0.3)
        called = world.called(user)
        found = whole(called, asking(page_size=2))
        assert found == whole(called, asking())
        sizes.add(len(found))
        items = [decision_pb2.CheckItem(action=READ, resource=scope) for scope in scopes]
        results = called.questions.BatchCheck(check_pb2.BatchCheckRequest(items=items)).results
        by = {
            effect: {scope for scope, of in found if of == effect}
            for effect in (ALLOWED, DENIED, HERE)
        }
        for scope, result in zip(scopes, results, strict=True):
            chain = {*prefixes(scope)}
            listed = chain & by[ALLOWED] and not chain & by[DENIED] and scope not in by[HERE]
            assert bool(listed) is result.decision.allowed, scope
    assert len(sizes) > 1


def test_pages_are_of_one_revision_whatever_is_granted_meanwhile(world):
    user = world.user()
    held = sorted(world.subscription() for _ in range(3))
    for one in held:
        world.assign(user, "Reader", one)
    called = world.called(user)
    first = called.questions.ListAccessible(asking(page_size=2))
    world.assign(user, "Reader", world.subscription())
    second = called.questions.ListAccessible(asking(page_size=10, page_token=first.next_page_token))
    assert entries(first) + entries(second) == [(one, ALLOWED) for one in held]
    assert second.evaluated_at == first.evaluated_at
    assert len(whole(called, asking())) == 4


def test_a_token_is_of_one_list_of_one_caller(world):
    user, other = world.user(), world.user()
    for principal in (user, other):
        for _ in range(2):
            world.assign(principal, "Reader", world.subscription())
    token = world.called(user).questions.ListAccessible(asking(page_size=1)).next_page_token
    assert token
    for stubs, request in (
        (world.called(other), asking(page_token=token)),
        (world.called(user), asking("Microsoft.Compute/images/read", page_token=token)),
        (world.called(user), asking(page_token=token, expand_subscriptions=True)),
        (world.called(user), asking(page_token=f"{token[:-2]}AA")),
    ):
        with refused(Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
            stubs.questions.ListAccessible(request)


def test_a_list_whose_revision_is_no_longer_held_is_begun_again(world):
    user = world.user()
    for _ in range(2):
        world.assign(user, "Reader", world.subscription())
    token = world.called(user).questions.ListAccessible(asking(page_size=1)).next_page_token
    world.user()
    # A server that began after that revision has never seen it.
    with another_server(world.installation, user) as later:
        with refused(Code.ABORTED, "LIST_EXPIRED"):
            later.questions.ListAccessible(asking(page_token=token, page_size=1))
        assert len(whole(later, asking(page_size=1))) == 2


@contextmanager
def another_server(installation, user):
    server = build_server(installation.config, stores_of(installation.db), installation._users)
    port = server.start()[Audience.CLIENT]
    token = make_token(installation.layout, subject=user.rpartition("/")[2], tenant="default")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Stubs(channel, token)
    server.stop()


@pytest.mark.parametrize(
    ("action", "parent", "reason"),
    [
        ("Microsoft.Compute/*", "", "WILDCARD_ACTION"),
        ("Microsoft.Nothing/read", "", "MALFORMED_ACTION"),
        (READ, "subscriptions", "MALFORMED_RESOURCE"),
        (READ, "subscriptions/-", "MALFORMED_RESOURCE"),
    ],
)
def test_a_malformed_question_has_no_list(world, action, parent, reason):
    with refused(Code.INVALID_ARGUMENT, reason) as refusal:
        world.owner.questions.ListAccessible(asking(action, parent=parent))
    assert list(refusal.fields) == ["parent" if parent else "action"]


def test_others_are_asked_about_with_the_right_to_read_assignments_at_the_parent(world):
    user, other, subscription = world.user(), world.user(), world.subscription()
    world.assign(other, "Contributor", subscription)
    request = asking(parent=subscription, subject=subject(other))
    with refused(Code.PERMISSION_DENIED):
        world.called(user).questions.ListAccessible(request)
    world.assign(user, "Reader", subscription)
    answer = world.called(user).questions.ListAccessible(request)
    assert entries(answer) == [(subscription, ALLOWED)]
    # Everywhere is more than there.
    with refused(Code.PERMISSION_DENIED):
        world.called(user).questions.ListAccessible(asking(subject=subject(other)))


def test_a_service_says_about_whom(world):
    user, subscription = world.user(), world.subscription()
    world.assign(user, "Reader", subscription)
    service = world.installation.service("replication").questions
    answer = service.ListAccessible(asking(subject=subject(user)))
    assert entries(answer) == [(subscription, ALLOWED)]
    with refused(Code.INVALID_ARGUMENT):
        service.ListAccessible(asking())
    with refused(Code.UNAUTHENTICATED):
        world.installation.nobody().questions.ListAccessible(asking())


def test_views_are_listed_in_each_subscription_of_the_reader(world):
    user, publisher, one, two = world.user(), *(world.subscription() for _ in range(3))
    gallery = f"{publisher}/resourceGroups/rg/galleries/golden"
    shared = share(world, gallery, "ADD", subscriptions=[one, two])
    called = world.called(user).questions
    assert not called.ListAccessible(asking(SHARED)).accessible_scopes
    world.assign(user, "Reader", one)
    view = f"{one}/locations/-/sharedGalleries/{shared.shared_id}"
    assert entries(called.ListAccessible(asking(SHARED))) == [(view, ALLOWED)]
    asked = check_pb2.CheckRequest(
        action=SHARED, resource=f"{view.replace('/-/', '/eastus/')}/images/i/versions/1.0.0"
    )
    assert called.Check(asked).decision.allowed
    # Nothing tells where the gallery is.
    assert publisher not in str(called.ListAccessible(asking(SHARED)))


def test_a_community_gallery_has_its_name_as_it_was_spelled(world):
    user, publisher, one = world.user(), world.subscription(), world.subscription()
    gallery = f"{publisher}/resourceGroups/rg/galleries/golden"
    shared = share(world, gallery, "ENABLE_COMMUNITY", mode="COMMUNITY")
    world.assign(user, "Reader", one)
    request = asking(COMMUNITY, parent=one)
    found = entries(world.called(user).questions.ListAccessible(request))
    assert (f"{one}/locations/-/communityGalleries/{shared.public_name}", ALLOWED) in found


@pytest.mark.parametrize("demand", ["at_least_as_fresh", "at_exact_snapshot"])
def test_a_consistency_token_is_one_of_this_installation(world, demand):
    request = asking(consistency=demanding(demand, "MTphYTo5OTox"))
    with refused(Code.INVALID_ARGUMENT, "CONSISTENCY_TOKEN_INVALID"):
        world.owner.questions.ListAccessible(request)
