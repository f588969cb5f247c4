"""The evaluator's answer beside Cedar's, and the smallest world in which they differ."""

from collections.abc import Callable, Sequence
from random import Random

from services.policy.conditions import Attributes
from services.policy.decision import Decision, Question, Reason
from services.policy.evaluation import evaluate
from services.policy.index import PolicyIndex, load_index
from tests.unit.policy.oracle.cedar import Cedar, Verdict
from tests.unit.policy.oracle.conditions import PREFIX
from tests.unit.policy.oracle.generation import HOURS, Maker, all_scopes
from tests.unit.policy.oracle.questions import REGISTRY, Asked, Asker
from tests.unit.policy.oracle.worlds import World

Answer = Callable[[Asked], Decision]


def index_of(world: World) -> PolicyIndex:
    """The index that a snapshot of the world makes."""
    return load_index(1, 1, world.records())


def evaluated(index: PolicyIndex, asked: Asked) -> Decision:
    """What the evaluator says, asked in the spelling that was sent."""
    return evaluate(index, asked.caller, question(asked), now=asked.now, registry=REGISTRY)


def question(asked: Asked) -> Question:
    """The question as it is put to the evaluator."""
    told = Attributes(_told(asked, "Request"), _told(asked, "Resource"))
    return Question(
        asked.sent_action, asked.sent_scope, asked.plane, told if asked.attributes else None
    )


def _told(asked: Asked, source: str) -> dict[str, tuple[str, ...]]:
    return {
        f"{PREFIX}:{name}".lower(): (value,) for of, name, value in asked.attributes if of == source
    }


def asker(world: World, random: Random) -> Asker:
    return Asker(random, world, all_scopes(world), HOURS)


def difference(verdict: Verdict, decision: Decision, *, known: bool = True) -> str:
    """Say what is different; nothing where both agree.

    Of a caller whom the directory does not know, or who is disabled, the reason is left open.
    """
    if verdict.allowed is not decision.allowed:
        return f"Cedar says {verdict.allowed} {sorted(verdict.because)}, the evaluator {decision}"
    if known and decision.reason not in verdict.reasons:
        wanted = sorted(one.name for one in verdict.reasons)
        return f"Cedar leaves the reasons {wanted}, the evaluator gives {decision}"
    cited = decision.grant if decision.reason in _BY_SHARING else decision.assignment
    if known and verdict.because and cited not in verdict.because:
        return f"Cedar decides by {sorted(verdict.because)}, the evaluator by {cited!r}"
    return ""


_BY_SHARING = {Reason.SHARED_SUBSCRIPTION, Reason.SHARED_TENANT, Reason.COMMUNITY}


def is_known(world: World, caller: str) -> bool:
    found = world.principals.get(caller)
    return found is not None and found.enabled


def differences(world: World, asked: Sequence[Asked], answer: Answer) -> list[tuple[Asked, str]]:
    """Every question that is answered differently, and how."""
    verdicts = Cedar(world).decide(asked)
    found = []
    for one, verdict in zip(asked, verdicts, strict=True):
        text = difference(verdict, answer(one), known=is_known(world, one.caller))
        if text:
            found.append((one, text))
    return found


def minimized(world: World, asked: Asked) -> World:
    """The world less everything without which the two differ just as well."""
    kept = world.copy()
    shrunk = True
    while shrunk:
        shrunk = False
        for at in range(len(kept.kinds())):
            for key in list(kept.kinds()[at]):
                tried = kept.copy()
                del tried.kinds()[at][key]
                if tried.sound() and _differs(tried, asked):
                    kept, shrunk = tried, True
    return kept


def _differs(world: World, asked: Asked) -> bool:
    index = index_of(world)
    return bool(differences(world, [asked], lambda one: evaluated(index, one)))


def report(world: World, asked: Asked, text: str, seed: object) -> str:
    """What to look at, to decide who is right."""
    small = minimized(world, asked) if _differs(world, asked) else world
    lines = [f"seed {seed}: {text}", f"  {asked}", "in this world (what is built in left out):"]
    lines += [f"  {one}" for one in small.records() if not getattr(one, "built_in", False)]
    return "\n".join(lines)


def agree(world: World, asked: Sequence[Asked], answer: Answer, *, seed: object) -> None:
    """Fail on the first question that is answered differently, with a world that shows it."""
    for question, text in differences(world, asked, answer):
        raise AssertionError(report(world, question, text, seed))


def made(seed: object) -> tuple[Maker, World]:
    """The world of a seed, and who goes on making things for it."""
    maker = Maker(Random(f"world {seed}"))
    return maker, maker.world()
