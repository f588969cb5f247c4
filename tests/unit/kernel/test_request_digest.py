from services.kernel.request_digest import request_digest


def test_a_repeat_in_another_spelling_is_the_same_request():
    one = request_digest("Create", {"parent": "things/T/versions/01.0.0"}, b"body")
    assert one == request_digest("Create", {"parent": "Things/t/versions/1.0.0"}, b"body")
    assert len(one) == 32


def test_every_part_counts():
    digests = {
        request_digest("Create", {"parent": "things/t"}, b"body"),
        request_digest("Update", {"parent": "things/t"}, b"body"),
        request_digest("Create", {"name": "things/t"}, b"body"),
        request_digest("Create", {"parent": "things/u"}, b"body"),
        request_digest("Create", {"parent": "things/t"}, b"Body"),
        request_digest("Create", {}, b"body"),
    }
    assert len(digests) == 6


def test_parts_do_not_run_into_each_other():
    assert request_digest("m", {"a": "bc"}, b"") != request_digest("m", {"ab": "c"}, b"")


def test_the_order_of_names_does_not_count():
    assert request_digest("m", {"a": "1", "b": "2"}, b"") == request_digest(
        "m", {"b": "2", "a": "1"}, b""
    )
