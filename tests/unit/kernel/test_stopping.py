import gc

from services.kernel.stopping import Stop


def test_a_child_is_set_with_its_parent_and_alone():
    parent = Stop()
    one, other = parent.child(), parent.child()
    grandchild = one.child()
    other.set()
    assert not parent.is_set()
    assert not one.is_set()
    parent.set()
    assert one.is_set()
    assert grandchild.is_set()


def test_a_child_of_a_set_parent_is_set():
    parent = Stop()
    parent.set()
    assert parent.child().is_set()


def test_callbacks_are_called_once_before_or_after():
    calls: list[str] = []
    stop = Stop()
    stop.on_set(lambda: calls.append("before"))
    assert calls == []
    stop.set()
    stop.set()
    stop.on_set(lambda: calls.append("after"))
    assert calls == ["before", "after"]


def test_a_parent_does_not_keep_its_children():
    parent = Stop()
    for _ in range(10):
        parent.child()
    gc.collect()
    assert len(parent._children) == 0
