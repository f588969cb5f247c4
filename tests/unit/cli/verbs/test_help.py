from collections.abc import Callable

Stoa = Callable[..., tuple[int, str, str]]


def test_help_tells_what_an_option_that_is_not_given_means(stoa: Stoa) -> None:
    code, out, _ = stoa("image-version", "pull", "--help")
    assert code == 0
    assert "[default: all]" in out


def test_the_options_are_those_of_az(stoa: Stoa) -> None:
    _, out, _ = stoa("image-definition", "create", "--help")
    for option in (" -g ", " -r ", " -i ", " -l ", "--publisher", "--offer", "--os-type"):
        assert option in out


def test_values_of_a_list_may_follow_one_option(stoa: Stoa) -> None:
    code, _, err = stoa(
        *("image-version", "create", "-g", "g", "-r", "r", "-i", "i", "-e", "1.0.0"),
        *("--target-regions", "eastus=2", "westus=two", "--managed-image", "m"),
        *("--subscription", "s"),
    )
    assert code == 2
    assert "westus=two is no value of --target-regions" in err


def test_deleting_without_a_terminal_needs_a_yes(stoa: Stoa) -> None:
    code, _, err = stoa("gallery", "delete", "-g", "g", "-r", "r", "--subscription", "s")
    assert code == 2
    assert "--yes" in err
