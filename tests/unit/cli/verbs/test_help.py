from collections.abc import Callable

import pytest

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


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("gallery update", "-g -r --permissions --soft-delete --tags --etag"),
        ("image-definition update", "-g -r -i --end-of-life-date --features --allow-update-image"),
        (
            "image-version create",
            "-g -r -i -e --location --target-regions --replica-count --replication-mode",
        ),
        ("image-version create", "--exclude-from-latest --end-of-life-date --managed-image"),
        ("image-version create", "--virtual-machine --os-snapshot --os-disk --image-version"),
        ("image-version create", "--os-vhd-uri --os-vhd-storage-account --data-vhds-uris"),
        (
            "image-version create",
            "--data-vhds-sa --data-vhds-luns --target-region-encryption",
        ),
        ("image-version update", "--target-regions --allow-replicated-location-deletion"),
        ("image-version add-region", "--target-regions --wait-for --no-wait"),
        ("image-version remove-region", "--target-regions"),
        ("image-version set-replica-count", "--replica-count --target-regions"),
        ("image-version undelete", "-e --no-wait"),
        ("image-version promote", "-e --no-wait"),
        ("image-version list", "--replication-status --show-deleted --order-by"),
        ("image-version check-deployment", "--kind --instance-count --os-profile --current-image"),
        ("disk create", "--source --sku --os-type --disk-encryption-set"),
        ("snapshot create", "--source --hyper-v-generation"),
        ("vm create", "--attach-os-disk --attach-data-disks --size --ephemeral-os-disk"),
        ("storage-account create", "--store --location"),
        ("disk-encryption-set create", "--key-url --encryption-type"),
        ("managed-image create", "--source --os-vhd-uri --os-blob --data-blobs"),
        ("role assignment create", "--assignee --role --scope --condition --start --end"),
        ("role eligible create", "--assignee --role --scope --max-duration --no-justification"),
        ("role eligible activate", "--ids --scope --duration --justification"),
        ("role eligible deactivate", "--ids --scope --assignee"),
        ("deny create", "--name --actions --not-actions --principals --exclude-principals"),
        ("deny list", "--scope --include-inherited --all --filter"),
        ("usage list", "--location --filter"),
        ("usage show", "--metric"),
    ],
)
def test_every_option_of_a_command_is_in_its_help(
    stoa: Stoa, command: str, options: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = stoa(*command.split(), "--help")
    assert code == 0
    assert [one for one in options.split() if one not in out] == []
