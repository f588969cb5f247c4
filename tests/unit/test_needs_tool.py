"""A missing tool never passes silently."""

import shutil
from collections.abc import Callable

import pytest

NeedsTool = Callable[[str], str]


def test_a_tool_that_is_there_is_found(needs_tool: NeedsTool) -> None:
    assert needs_tool("sh") == shutil.which("sh")


def test_a_missing_tool_skips_with_the_reason(
    needs_tool: NeedsTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STOA_REQUIRE_TOOLS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-tool is not installed"):
        needs_tool("no-such-tool")


def test_a_missing_tool_fails_where_tools_are_required(
    needs_tool: NeedsTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOA_REQUIRE_TOOLS", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-tool is not installed"):
        needs_tool("no-such-tool")
