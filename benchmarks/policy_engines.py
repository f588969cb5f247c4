"""What decides a world for `policy_peers`: the policy of the services, Cedar and Casbin.

Each engine is given the changes that make up a world and the questions that will be asked, so that
it may prepare whatever it wants; what it answers then decides one (action, scope) for `CALLER`.
Which role has which action is told to the others in advance: no pattern is left for them to match.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import cedarpy
from casbin import FastEnforcer
from casbin.model import FastModel

from benchmarks.policy_check import CALLER
from services.kernel.names import ROOT, fold, parent, prefixes
from services.policy.decision import Question
from services.policy.directory import Role
from services.policy.evaluation import evaluate
from services.policy.index import load_index
from services.policy.model import (
    Change,
    ManagementGroup,
    Membership,
    Plane,
    Principal,
    RoleAssignment,
    RoleDefinition,
    Subscription,
)

Asked = tuple[str, str]
Decide = Callable[[str, str], bool]


def stoa(changes: Iterable[Change], _: Sequence[Asked]) -> Decide:
    index = load_index(1, 1, changes)
    now = datetime.now(UTC)
    return lambda action, scope: evaluate(index, CALLER, Question(action, scope), now=now).allowed


@dataclass(frozen=True)
class World:
    """The changes, sorted for those that know neither scopes nor patterns."""

    principals: list[str]
    groups_of: Mapping[str, list[str]]
    held: list[RoleAssignment]
    roles: list[str]
    # For each action that is asked about the roles that have it.
    having: Mapping[str, list[str]]
    # What lies above the first step of a name.
    above: Mapping[str, str]

    @staticmethod
    def of(changes: Iterable[Change], asked: Iterable[Asked]) -> "World":
        principals, held, definitions = [], [], []
        groups_of: dict[str, list[str]] = defaultdict(list)
        above: dict[str, str] = {}
        for change in changes:
            match change:
                case Principal():
                    principals.append(change.key)
                case Membership():
                    groups_of[change.member].append(change.group)
                case RoleDefinition():
                    definitions.append(change)
                case RoleAssignment():
                    held.append(change)
                case ManagementGroup():
                    above[change.key] = change.parent or change.tenant
                case Subscription():
                    above[change.key] = change.parent
                case _:
                    raise TypeError(f"no engine here knows {change}")
        roles = [(one.id, Role(one)) for one in definitions]
        having = {
            action: [id_ for id_, role in roles if role.permits(fold(action), Plane.CONTROL)]
            for action, _ in asked
        }
        return World(principals, groups_of, held, [id_ for id_, _ in roles], having, above)

    def chain(self, scope: str) -> Iterator[str]:
        """Answer a scope and all that it lies in, the nearest first."""
        yield scope
        while scope != ROOT:
            scope = self.above.get(scope) or parent(scope)
            yield scope

    def scopes(self, asked: Iterable[Asked]) -> set[str]:
        """Answer every scope that something is held at or asked about, and all above."""
        named = {one.scope for one in self.held} | {scope for _, scope in asked}
        steps = {step for scope in named for step in prefixes(scope)}
        return {scope for step in steps for scope in self.chain(step)}


def cedar_policies(changes: Iterable[Change], asked: Sequence[Asked]) -> Decide:
    """One policy for each assignment, as the documentation of Cedar shows it."""
    world = World.of(changes, asked)
    policies = "\n".join(
        f"permit(principal in {_uid('Principal', one.principal)},"
        f" action in {_uid('Action', one.role)}, resource in {_uid('Scope', one.scope)});"
        for one in world.held
    )
    entities = [
        *(_entity("Scope", one, [*world.chain(one)][1:2]) for one in world.scopes(asked)),
        *(_entity("Principal", one, world.groups_of.get(one, ())) for one in world.principals),
        *_actions(world),
    ]
    return _cedar(policies, entities)


def cedar_members(changes: Iterable[Change], asked: Sequence[Asked]) -> Decide:
    """One policy for each role, and the assignments among the entities.

    Who holds a role at a scope is in a team, which is in the team of the nearest scope below; each
    scope names the nearest team of each role. Cedar closes memberships when it reads them, so that
    a decision looks into one set for each role.
    """
    world = World.of(changes, asked)
    short = {role: f"r{number}" for number, role in enumerate(world.roles)}
    policies = "\n".join(
        f"permit(principal, action in {_uid('Action', role)}, resource)"
        f" when {{ resource has {name} && principal in resource.{name} }};"
        for role, name in short.items()
    )
    teams_of: dict[str, set[str]] = defaultdict(set)
    roles_at: dict[str, set[str]] = defaultdict(set)
    for one in world.held:
        teams_of[one.principal].add(_team(one.role, one.scope))
        roles_at[one.scope].add(one.role)
    below: dict[str, set[str]] = {_team(one.role, one.scope): set() for one in world.held}
    entities = []
    for scope in world.scopes(asked):
        teams: dict[str, list[str]] = defaultdict(list)
        for step in world.chain(scope):
            for role in roles_at.get(step, ()):
                teams[role].append(_team(role, step))
        for line in teams.values():
            for lower, upper in pairwise(line):
                below[upper].add(lower)
        nearest = {
            short[role]: {"__entity": {"type": "Team", "id": line[0]}}
            for role, line in teams.items()
        }
        entities.append(_entity("Scope", scope, (), nearest))
    entities += [_entity("Team", team, within) for team, within in below.items()]
    for who in world.principals:
        entity = _entity("Principal", who, world.groups_of.get(who, ()))
        entity["parents"] += [{"type": "Team", "id": team} for team in teams_of.get(who, ())]
        entities.append(entity)
    return _cedar(policies, [*entities, *_actions(world)])


def _cedar(policies: str, entities: list[dict[str, Any]]) -> Decide:
    parsed = cedarpy.PolicySet.from_str(policies)
    known = cedarpy.Entities.from_json_str(json.dumps(entities))
    principal = {"type": "Principal", "id": CALLER}

    def decide(action: str, scope: str) -> bool:
        request = {
            "principal": principal,
            "action": {"type": "Action", "id": action},
            "resource": {"type": "Scope", "id": scope},
        }
        return cedarpy.is_authorized(request, parsed, known).allowed

    return decide


def _actions(world: World) -> Iterator[dict[str, Any]]:
    """Answer the actions, each in the roles that have it."""
    for role in world.roles:
        yield _entity("Action", role)
    for action, roles in world.having.items():
        yield _entity("Action", action, roles)


def _entity(
    kind: str, id_: str, parents: Iterable[str] = (), attributes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Build an entity whose parents are of its own kind."""
    return {
        "uid": {"type": kind, "id": id_},
        "attrs": attributes or {},
        "parents": [{"type": kind, "id": one} for one in parents],
    }


def _uid(kind: str, id_: str) -> str:
    return f"{kind}::{json.dumps(id_)}"


def _team(role: str, scope: str) -> str:
    return f"{role}@{scope}"


_MODEL = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, role
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = has(p.role, r.act) && g(r.sub, p.sub)
"""
_OBJECT = 1


def pycasbin(changes: Iterable[Change], asked: Sequence[Asked]) -> Decide:
    """The fast enforcer, which finds the rules of one scope by a key and goes through those alone.

    It is asked about each scope of the chain until one allows: a matcher that compared prefixes
    would go through all rules.
    """
    world = World.of(changes, asked)
    model = FastModel([_OBJECT])
    model.load_model_from_text(_MODEL)
    enforcer = FastEnforcer(model, cache_key_order=[_OBJECT])
    having = {(role, action) for action, roles in world.having.items() for role in roles}
    enforcer.add_function("has", lambda role, action: (role, action) in having)
    # It refuses a rule that it has.
    rules = dict.fromkeys((one.principal, one.scope, one.role) for one in world.held)
    enforcer.add_policies(list(map(list, rules)))
    enforcer.add_grouping_policies(
        [[member, group] for member, groups in world.groups_of.items() for group in groups]
    )
    return lambda action, scope: any(
        enforcer.enforce(CALLER, step, action) for step in world.chain(scope)
    )
