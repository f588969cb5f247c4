"""The verbs of sources on a real catalog, and versions made of them."""

import pytest

from tests.wire.catalog.installation import World
from tests.wire.cli.verbs.conftest import Stoa


@pytest.fixture
def group(world: World) -> str:
    return world.group()


def _blob(world: World, group: str) -> str:
    return world.blob(group).rpartition("/")[2]


def _in(group: str) -> tuple[str, ...]:
    return ("-g", group, "-l", "eastus", "-n")


def test_disks_and_snapshots_are_made_listed_shown_and_deleted(
    stoa: Stoa, world: World, group: str
) -> None:
    blob = _blob(world, group)
    disk = stoa(
        *("disk", "create", *_in(group), "boot", "--source", blob, "--sku", "Premium_LRS"),
        *("--os-type", "Linux", "--os-state", "Generalized", "--security-type", "TrustedLaunch"),
        *("--disk-controller-types", "SCSI", "NVMe", "--accelerated-network", "--tags", "a=b"),
    )
    assert disk["blob"] == f"{group}/blobs/{blob}"
    assert disk["diskType"] == "DISK_TYPE_PREMIUM_LRS"
    assert disk["hyperVGeneration"] == "HYPER_V_GENERATION_V2"
    assert disk["securityType"] == "MACHINE_SECURITY_TYPE_TRUSTED_LAUNCH"
    assert len(disk["diskControllerTypes"]) == 2
    assert disk["acceleratedNetworkingSupported"] is True
    assert stoa("disk", "show", "-g", group, "-n", "boot")["uid"] == disk["uid"]
    (row,) = stoa.table("disk", "list", "-g", group)
    assert row[:4] == ["boot", "eastus", "Premium lrs", "Linux"]
    everywhere = {one[0] for one in stoa.table("disk", "list")}
    assert f"{group}/disks/boot" in everywhere

    taken = stoa("snapshot", "create", *_in(group), "taken", "--source", blob)
    assert "osType" not in taken
    assert [one[0] for one in stoa.table("snapshot", "list", "-g", group)] == ["taken"]
    for kind, name in (("disk", "boot"), ("snapshot", "taken")):
        assert stoa.refused(kind, "delete", "-g", group, "-n", name)[0] == 2
        stoa(kind, "delete", "-g", group, "-n", name, "--yes")
        assert stoa.refused(kind, "show", "-g", group, "-n", name)[0] == 3


def test_accounts_and_encryption_sets_are_made_in_the_words_of_az(
    stoa: Stoa, world: World, group: str
) -> None:
    name = world.id("account")
    made = stoa("storage-account", "create", *_in(group), name, "--store", "images")
    assert made["store"] == "images"
    keys = stoa(
        *("disk-encryption-set", "create", *_in(group), "keys"),
        *("--key-url", "https://vault.example.org/keys/a"),
        *("--encryption-type", "ConfidentialVmEncryptedWithCustomerKey"),
    )
    assert keys["encryptionType"] == "ENCRYPTION_TYPE_CONFIDENTIAL_VM_WITH_CUSTOMER_KEY"
    assert [one[0] for one in stoa.table("disk-encryption-set", "list", "-g", group)] == ["keys"]
    assert name in {one[0] for one in stoa.table("storage-account", "list", "-g", group)}


def test_a_machine_has_its_disks(stoa: Stoa, world: World, group: str) -> None:
    for name, system in (("boot", ("--os-type", "Linux")), ("data", ())):
        stoa("disk", "create", *_in(group), name, "--source", _blob(world, group), *system)
    create = ("vm", "create", *_in(group), "web", "--size", "Standard_D2s_v5")
    assert stoa.refused(*create)[0] == 2
    made = stoa(
        *create,
        *("--attach-os-disk", "boot", "--attach-data-disks", "7=data"),
        *("--os-state", "Generalized", "--power-state", "Deallocated", "--enable-hibernation"),
    )
    assert made["osDisk"]["disk"] == f"{group}/disks/boot"
    (data,) = made["dataDisks"]
    assert (data["lun"], data["disk"]) == (7, f"{group}/disks/data")
    assert made["hibernation"] is True
    ephemeral = stoa(
        *("vm", "create", *_in(group), "spare", "--size", "Standard_D2s_v5"), "--ephemeral-os-disk"
    )
    assert ephemeral["osDisk"]["ephemeral"] is True
    assert [one[0] for one in stoa.table("vm", "list", "-g", group)] == ["spare", "web"]
    image = stoa("managed-image", "create", *_in(group), "of-web", "--source", "web")
    assert image["virtualMachine"] == f"{group}/virtualMachines/web"
    assert [one["disk"] for one in image["disks"]] == [{"os": True}, {"lun": 7}]


def test_managed_images_are_made_of_blobs_vhds_disks_and_snapshots(
    stoa: Stoa, world: World, group: str
) -> None:
    blob = _blob(world, group)
    of_blobs = stoa(
        *("managed-image", "create", *_in(group), "a", "--os-blob", blob),
        *("--data-blobs", _blob(world, group), "5=" + _blob(world, group)),
    )
    assert [one["disk"] for one in of_blobs["disks"]] == [{"os": True}, {"lun": 0}, {"lun": 5}]
    assert of_blobs["osType"] == "OS_TYPE_LINUX"

    account = world.id("account")
    stoa("storage-account", "create", *_in(group), account, "--store", "images")
    for path in ("vhds/os.vhd", "vhds/data.vhd"):
        world.replication.add_file(path)
    of_vhds = stoa(
        *("managed-image", "create", *_in(group), "b", "--os-vhd-uri", "vhds/os.vhd"),
        *("--os-vhd-storage-account", account, "--data-vhds-uris", "3=vhds/data.vhd"),
    )
    vhd = of_vhds["vhds"]["osVhd"]
    assert vhd["storageAccount"] == f"{group}/storageAccounts/{account}"
    assert vhd["path"] == "vhds/os.vhd"
    assert of_vhds["vhds"]["dataVhds"][0]["lun"] == 3

    system = ("--os-type", "Windows", "--os-state", "Specialized")
    stoa("disk", "create", *_in(group), "boot", "--source", blob, *system)
    stoa("snapshot", "create", *_in(group), "taken", "--source", blob, *system)
    for number, source in enumerate(("disks/boot", f"{group}/snapshots/taken")):
        made = stoa("managed-image", "create", *_in(group), f"c{number}", "--source", source)
        # It is what its source is.
        assert (made["osType"], made["osState"]) == ("OS_TYPE_WINDOWS", "OS_STATE_SPECIALIZED")
    code, err = stoa.refused("managed-image", "create", *_in(group), "d", "--source", "blobs/x")
    assert code == 2
    assert "disks/ID" in err


def test_versions_are_made_of_every_kind_of_source(stoa: Stoa, world: World, group: str) -> None:
    gallery = world.gallery(group)
    definition = world.definition(gallery, hyper_v_generation=2)
    system = ("--os-type", "Linux", "--os-state", "Generalized")
    stoa("disk", "create", *_in(group), "boot", "--source", _blob(world, group), *system)
    stoa("disk", "create", *_in(group), "data", "--source", _blob(world, group))
    stoa("snapshot", "create", *_in(group), "taken", "--source", _blob(world, group), *system)
    stoa("snapshot", "create", *_in(group), "more", "--source", _blob(world, group))
    stoa("vm", "create", *_in(group), "web", "--size", "D2", "--attach-os-disk", "boot")
    stoa("managed-image", "create", *_in(group), "image", "--os-blob", _blob(world, group))
    account = world.id("account")
    stoa("storage-account", "create", *_in(group), account, "--store", "images")
    world.replication.add_file("os.vhd")
    world.replication.add_file("data.vhd")
    sources = {
        "1.0.0": ("--virtual-machine", "web"),
        "1.0.1": ("--managed-image", "image"),
        "1.0.2": ("--os-disk", "boot", "--data-disks", "4=data"),
        "1.0.3": (
            "--os-snapshot",
            "taken",
            "--data-snapshots",
            "more",
            "--data-snapshot-luns",
            "9",
        ),
        "1.0.4": (
            *("--os-vhd-uri", "os.vhd", "--os-vhd-storage-account", account),
            *("--data-vhds-uris", "data.vhd", "--data-vhds-luns", "2"),
        ),
        "1.0.5": ("--os-blob", _blob(world, group), "--data-snapshots", "6=more"),
        "1.0.6": ("--image-version", world.finished(definition, "0.0.1").name),
    }
    common = ("-g", group, "-r", gallery, "-i", definition)
    for number, source in sources.items():
        stoa("image-version", "create", *common, "-e", number, *source, "--no-wait")
    shown = {
        number: stoa("image-version", "show", *common, "-e", f"{definition}/versions/{number}")[
            "storageProfile"
        ]
        for number in sources
    }
    whole = [next(iter(shown[one]["source"])) for one in ("1.0.0", "1.0.1", "1.0.6")]
    assert whole == ["virtualMachine", "managedImage", "imageVersion"]
    luns = {
        number: [one.get("lun", 0) for one in profile.get("dataDiskImages", ())]
        for number, profile in shown.items()
    }
    assert luns["1.0.2"] == [4]
    assert luns["1.0.3"] == [9]
    assert luns["1.0.4"] == [2]
    assert luns["1.0.5"] == [6]
    assert shown["1.0.4"]["osDiskImage"]["source"]["vhd"]["path"] == "os.vhd"
