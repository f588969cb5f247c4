import io
import sys

import pytest

from cli.errors import UsageProblem
from cli.invocation import Invocation, current, entered


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_commands_share_the_invocation_that_they_run_in() -> None:
    invocation = Invocation()
    with entered(invocation):
        assert current() is invocation
    assert current() is not invocation


@pytest.mark.parametrize(
    ("answer", "allowed"), [("y\n", True), ("YES\n", True), ("n\n", False), ("", False)]
)
def test_a_person_is_asked_before_something_is_lost(
    answer: str, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", Terminal())
    if allowed:
        Invocation().confirm("Delete it?", yes=False)
    else:
        with pytest.raises(UsageProblem):
            Invocation().confirm("Delete it?", yes=False)


def test_a_script_must_say_yes_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(UsageProblem) as caught:
        Invocation().confirm("Delete it?", yes=False)
    assert "--yes" in caught.value.todo
    Invocation().confirm("Delete it?", yes=True)


def test_the_subscription_is_the_one_given_or_that_of_the_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for service in ("CATALOG", "REPLICATION", "AUTHZ"):
        monkeypatch.setenv(f"STOA_ENDPOINT_{service}", "127.0.0.1:1")
    with pytest.raises(UsageProblem):
        Invocation().subscription()
    monkeypatch.setenv("STOA_SUBSCRIPTION", "images")
    assert Invocation().subscription() == "images"
    assert Invocation().subscription("subscriptions/other") == "other"
