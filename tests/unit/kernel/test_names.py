import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel import names
from services.kernel.errors import Code, InvalidName
from services.kernel.names import Pattern, id_problem, key, parent, parse_version, prefixes

VERSION = Pattern(
    "subscriptions/{subscription}/galleries/{gallery}/versions/{version}",
    "subscriptions/{subscription}/locations/{location}/galleries/{gallery}/versions/{version}",
)

ids = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=12
).filter(lambda text: id_problem(text) is None)
numbers = st.integers(0, names.MAX_VERSION_PART)


def cases(text: str) -> st.SearchStrategy[str]:
    """Spellings of a text that differ in ASCII case only."""
    return st.lists(st.booleans(), min_size=len(text), max_size=len(text)).map(
        lambda upper: "".join(
            c.upper() if up and c.isascii() else c for c, up in zip(text, upper, strict=True)
        )
    )


@given(ids, ids, ids)
def test_what_is_formatted_is_parsed_to_the_same_ids(subscription, gallery, version):
    text = VERSION.format(subscription=subscription, gallery=gallery, version=version)
    name = VERSION.parse(text)
    assert name.text == text == str(name)
    assert name.ids == {"subscription": subscription, "gallery": gallery, "version": version}


@given(ids, ids, st.data())
def test_collections_are_answered_in_the_spelling_of_the_pattern(subscription, gallery, data):
    collections = [data.draw(cases(c)) for c in ("subscriptions", "galleries", "versions")]
    text = f"{collections[0]}/{subscription}/{collections[1]}/{gallery}/{collections[2]}/1.0.0"
    expected = f"subscriptions/{subscription}/galleries/{gallery}/versions/1.0.0"
    assert VERSION.parse(text).text == expected


@given(st.text())
def test_a_key_is_its_own_key_and_never_fails(text):
    assert key(key(text)) == key(text)


@given(ids, ids, numbers, numbers, numbers, st.data())
def test_spellings_of_one_name_have_one_key(subscription, gallery, major, minor, patch, data):
    def spelled():
        zeros = [data.draw(st.integers(0, 3)) for _ in range(3)]
        parts = (f"{'0' * z}{n}" for z, n in zip(zeros, (major, minor, patch), strict=True))
        version = ".".join(parts)
        return data.draw(
            cases(f"subscriptions/{subscription}/galleries/{gallery}/versions/{version}")
        )

    assert VERSION.parse(spelled()).key == VERSION.parse(spelled()).key == key(spelled())


@given(st.tuples(numbers, numbers, numbers), st.tuples(numbers, numbers, numbers))
def test_different_versions_have_different_keys(one, other):
    first, second = (f"things/t/versions/{a}.{b}.{c}" for a, b, c in (one, other))
    assert (key(first) == key(second)) == (one == other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("things/01.2.3", "things/01.2.3"),
        ("things/versions/names/01.2.3", "things/versions/names/01.2.3"),
        ("things/t/versions/01.2", "things/t/versions/01.2"),
        ("things/t/Versions/00.01.10", "things/t/versions/0.1.10"),
        ("things/t/versions/01.0.0/replicas/01.0.0", "things/t/versions/1.0.0/replicas/01.0.0"),
        ("/", "/"),
        ("", ""),
    ],
)
def test_only_the_id_of_a_version_is_reduced(text, expected):
    assert key(text) == expected


def test_letters_that_are_not_ascii_are_not_folded():
    assert key("things/\u212a") == "things/\u212a"
    assert key("THINGS/\u0130") == "things/\u0130"


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "-", "a/b", "a%2fb", "a\\b", "a\nb", "a\x00", "a\x7f", "\u00e9", " a", "a "],
)
def test_an_id_that_would_be_ambiguous_or_unsafe_is_refused(text):
    assert id_problem(text)
    with pytest.raises(InvalidName):
        VERSION.parse(f"subscriptions/{text}/galleries/g/versions/1.0.0")
    with pytest.raises(InvalidName):
        VERSION.format(subscription="s", gallery=text, version="1.0.0")


@pytest.mark.parametrize("text", ["a", "A-b_c.d", "...", "East US 2", "a:b", "--"])
def test_other_ids_are_left_to_the_rules_of_the_resource(text):
    assert id_problem(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "subscriptions/s",
        "/subscriptions/s/galleries/g/versions/1.0.0",
        "subscriptions/s/galleries/g/versions/1.0.0/",
        "subscriptions/s/gallery/g/versions/1.0.0",
        "subscriptions/s/galleries/g/versions/" + "1" * 2048,
    ],
)
def test_a_text_of_another_form_is_refused_naming_the_field(text):
    with pytest.raises(InvalidName) as refused:
        VERSION.parse(text, field="gallery.name")
    assert refused.value.code is Code.INVALID_ARGUMENT
    assert [violation.field for violation in refused.value.violations] == ["gallery.name"]


def test_a_wildcard_is_accepted_where_it_is_asked_for():
    text = "subscriptions/s/galleries/-/versions/1.0.0"
    with pytest.raises(InvalidName):
        VERSION.parse(text)
    name = VERSION.parse(text, wildcards=True)
    assert name.has_wildcard
    assert name.ids["gallery"] == "-"
    assert not VERSION.parse(text.replace("-", "g"), wildcards=True).has_wildcard


def test_a_resource_may_have_several_patterns():
    view = VERSION.parse("subscriptions/s/locations/eastus/galleries/g/versions/1.0.0")
    assert view.pattern == VERSION.patterns[1]
    assert VERSION.matches("subscriptions/s/LOCATIONS/%/galleries/g/versions/1.0.0")
    assert not VERSION.matches("subscriptions/s/galleries/g")
    assert (
        VERSION.format(subscription="s", location="eastus", gallery="g", version="1.0.0")
        == view.text
    )
    with pytest.raises(ValueError, match="no pattern"):
        VERSION.format(subscription="s")


def test_the_parent_drops_a_collection_and_an_id():
    name = VERSION.parse("subscriptions/S/galleries/G/versions/01.0.0")
    above = name.parent()
    assert (above.text, above.key) == ("subscriptions/S/galleries/G", "subscriptions/s/galleries/g")
    assert above.ids == {"subscription": "S", "gallery": "G"}
    assert above.pattern == "subscriptions/{subscription}/galleries/{gallery}"
    assert name.id == "01.0.0"
    top = above.parent().parent()
    assert (top.text, top.key, top.ids) == ("/", "/", {})
    assert parent("regions/r") == "/"


def test_prefixes_go_from_the_name_to_its_top():
    assert prefixes("a/1/b/2/c/3") == ("a/1/b/2/c/3", "a/1/b/2", "a/1")
    assert prefixes("/") == ()


@given(st.lists(st.tuples(ids, ids), min_size=1, max_size=6))
def test_each_prefix_is_the_parent_of_the_one_before(pairs):
    found = prefixes("/".join(f"{a}/{b}" for a, b in pairs))
    assert len(found) == len(pairs)
    assert [parent(name) for name in found] == [*found[1:], "/"]


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "things",
        "things/x",
        "things/{x}/more",
        "Things/{x}",
        "things/{x}/parts/{x}",
        "a/{b}~{c}",
    ],
)
def test_a_broken_pattern_is_a_defect(pattern):
    with pytest.raises(ValueError, match="not a pattern"):
        Pattern(pattern)


@given(numbers, numbers, numbers)
def test_a_version_is_read_as_three_integers(major, minor, patch):
    assert parse_version(f"{major}.{minor}.0{patch}") == (major, minor, patch)


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2", "1.2.3.4", "1.2.x", "1.2.-3", "1. 2.3", "1.2.2147483648", "1.2." + "9" * 5000],
)
def test_a_text_that_is_no_version_is_refused(text):
    with pytest.raises(InvalidName):
        parse_version(text)


def test_names_are_equal_with_their_spelling_and_usable_in_sets():
    one = VERSION.parse("subscriptions/s/galleries/g/versions/1.0.0")
    assert {one} == {VERSION.parse("SUBSCRIPTIONS/s/galleries/g/versions/1.0.0")}
    assert one != VERSION.parse("subscriptions/S/galleries/g/versions/1.0.0")


@given(ids, st.booleans())
def test_a_name_is_the_same_when_it_is_read_again(gallery, wildcards):
    text = f"Subscriptions/s/galleries/{gallery}/versions/01.2.3"
    first = VERSION.parse(text, wildcards=wildcards)
    assert (
        VERSION.parse(text, wildcards=wildcards) == first == VERSION.read(text, wildcards=wildcards)
    )


def test_what_is_remembered_of_lists_is_no_answer_for_one_resource():
    text = "subscriptions/s/galleries/-/versions/1.0.0"
    assert VERSION.parse(text, wildcards=True).has_wildcard
    with pytest.raises(InvalidName):
        VERSION.parse(text)


def test_patterns_do_not_share_what_they_remember():
    text = "subscriptions/s/galleries/g/versions/1.0.0"
    assert VERSION.parse(text).text == text
    with pytest.raises(InvalidName):
        Pattern("subscriptions/{subscription}").parse(text)


def test_an_error_names_the_field_of_each_request():
    for field in ("name", "parent"):
        with pytest.raises(InvalidName) as raised:
            VERSION.parse("nothing", field=field)
        assert raised.value.field == field


def test_the_ids_of_a_remembered_name_cannot_be_changed():
    name = VERSION.parse("subscriptions/s/galleries/g/versions/1.0.0")
    with pytest.raises(TypeError):
        name.ids["gallery"] = "other"  # type: ignore[index]
