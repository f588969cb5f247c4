"""The main job: publish an image, replicate it, share it, and pull it as somebody else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.demo.disks import Disk
from cli.demo.narration import Narrator
from cli.errors import CliError, ExitCode
from cli.output import human_bytes

HOME: Final = "eastus"
# Id, display name and slots of each region.
REGIONS: Final = (
    ("eastus", "East US", 2),
    ("westus", "West US", 1),
    ("northeurope", "North Europe", 1),
)
CONSUMER_REGION: Final = "westus"
CONSUMER: Final = "ada"
VERSION: Final = (
    "subscriptions/default/resourceGroups/images/galleries/golden/images/linux-base/versions/1.0.0"
)

_IN_GALLERY: Final = ("-g", "images", "-r", "golden")
_IN_DEFINITION: Final = (*_IN_GALLERY, "-i", "linux-base")


@dataclass(frozen=True, slots=True)
class Disks:
    """What is published."""

    os: Disk
    data: Disk

    def by_name(self) -> dict[str, Disk]:
        """The disks as `pull` calls them."""
        return {"os": self.os, "0": self.data}


def make_regions(tell: Narrator) -> None:
    """Create three regions, one of them with two slots."""
    tell.step("Three regions; East US has two replica slots")
    for name, display_name, slots in REGIONS:
        tell.run(
            *("region", "create", "--name", name, "--display-name", display_name),
            *("--slots", str(slots)),
        )
    tell.run("region", "list", output="table")


def publish(tell: Narrator, disks: Disks) -> None:
    """Upload the disks and publish a version of them in all regions."""
    tell.step("A resource group, a gallery to share from, an image definition")
    tell.run("group", "create", "-n", "images", "-l", HOME)
    tell.run("gallery", "create", *_IN_GALLERY, "-l", HOME, "--permissions", "Groups")
    tell.run(
        *("image-definition", "create", *_IN_DEFINITION, "-l", HOME),
        *("--publisher", "contoso", "--offer", "linux", "--sku", "base"),
        *("--os-type", "Linux", "--os-state", "Generalized", "--hyper-v-generation", "V2"),
    )
    tell.step("Upload the two disks; holes and zeros stay here")
    for name, disk in (("base-os", disks.os), ("base-data", disks.data)):
        blob = tell.json(
            *("blob", "upload", "-g", "images", "-n", name, "-l", HOME, "-f", str(disk.path))
        )
        _expect_equal(f"the blob {name}", disk.blake3, blob["blake3"])
    tell.step("A managed image of both")
    tell.run(
        *("managed-image", "create", "-g", "images", "-n", "linux-base", "-l", HOME),
        *("--os-blob", "base-os", "--data-blobs", "0=base-data", "--os-type", "Linux"),
    )
    tell.step("Publish version 1.0.0: two replicas in East US, one in each other region")
    tell.run(
        *("image-version", "create", *_IN_DEFINITION, "-e", "1.0.0", "-l", HOME),
        *("--managed-image", "linux-base", "--replica-count", "1"),
        *("--target-regions", "eastus=2", "westus", "northeurope"),
    )
    tell.run("image-version", "list", *_IN_DEFINITION, output="table")
    _expect_replicas(tell)


def share(tell: Narrator) -> None:
    """Share the gallery with a second subscription, in which somebody may read."""
    tell.step("Share the gallery with a second subscription, in which Ada may read")
    tell.run("subscription", "create", "-n", "consumer")
    tell.run(
        *("ad", "user", "create", "--id", CONSUMER, "--display-name", "Ada"),
        *("--user-principal-name", "ada@example.org"),
    )
    tell.run(
        *("role", "assignment", "create", "--assignee", CONSUMER, "--role", "Reader"),
        *("--scope", "subscriptions/consumer"),
    )
    tell.run("share", "add", *_IN_GALLERY, "--subscription-ids", "consumer")


def consume(tell: Narrator, folder: Path, disks: Disks) -> None:
    """As the consumer, find the image in another region, pull it and compare it."""
    tell.step(f"Ada, with a token of her own, finds the image in {CONSUMER_REGION}")
    token = folder / "ada.token"
    tell.show(f"stoa token --subject {CONSUMER} > {token}")
    token.touch(0o600)
    token.write_text(tell.text("token", "--subject", CONSUMER))
    as_ada = ("--subscription", "consumer", "--token-file", str(token))
    there = ("-l", CONSUMER_REGION, *as_ada)
    tell.run("gallery", "list-shared", *there, output="table")
    listed = tell.quietly("gallery", "list-shared", *there)
    if len(listed) != 1:
        raise CliError(f"Ada sees {len(listed)} shared galleries in place of one.")
    image = ("--gallery-unique-name", listed[0]["uniqueName"], "-i", "linux-base")
    tell.run("image-version", "list-shared", *image, *there, output="table")
    tell.run("image-version", "resolve", *image, "-e", "latest", *there, output="json")
    tell.say("The private name of the same gallery is closed to her:")
    tell.run(
        *("gallery", "show", *_IN_GALLERY, "--subscription", "default"),
        *("--token-file", str(token)),
        code=ExitCode.DENIED,
    )
    tell.step("She pulls both disks there, every byte verified")
    pulled = tell.json(
        *("image-version", "pull", *image, "-e", "latest", *there),
        *("--directory", str(folder / "pulled")),
    )
    _compare(tell, {row["disk"]: row["blake3"] for row in pulled}, disks)


def community(tell: Narrator, folder: Path) -> None:
    """Show that a community gallery that is not enabled does not exist for others."""
    tell.step("A community gallery that is not enabled is not found")
    gallery = tell.json(
        *("gallery", "create", "-g", "images", "-r", "public", "-l", HOME),
        *("--permissions", "Community", "--public-name-prefix", "contoso"),
        *("--publisher-uri", "https://example.org", "--publisher-email", "team@example.org"),
        *("--eula", "https://example.org/terms"),
    )
    name = gallery["sharingProfile"]["communityGalleryInfo"]["publicNames"][0]
    tell.run(
        *("gallery", "show-community", "--public-gallery-name", name, "-l", CONSUMER_REGION),
        *("--subscription", "consumer", "--token-file", str(folder / "ada.token")),
        code=ExitCode.NOT_FOUND,
    )


def _expect_replicas(tell: Narrator) -> None:
    """Refuse a version that is not where it should be, as often as it should be."""
    version = tell.quietly("image-version", "show", *_IN_DEFINITION, "-e", "1.0.0")
    found = {
        one["location"]: (one["state"], one.get("goodReplicaCount", 0))
        for one in version["replicationStatus"]["summary"]
    }
    completed = "REGIONAL_REPLICATION_STATE_COMPLETED"
    wanted = {name: (completed, slots) for name, _, slots in REGIONS}
    if found != wanted:
        raise CliError("The version is not where it should be.", why=(f"{found}",))


def _compare(tell: Narrator, pulled: dict[str, str], disks: Disks) -> None:
    tell.say("")
    for name, disk in disks.by_name().items():
        label = "OS disk" if name == "os" else f"data disk, LUN {name}"
        tell.say(f"{label} ({human_bytes(disk.size)}, {human_bytes(disk.data)} not zero), BLAKE3:")
        tell.say(f"  published {disk.blake3}")
        tell.say(f"  pulled    {pulled.get(name, 'nothing')}")
        _expect_equal(label, disk.blake3, pulled.get(name, ""))
    tell.say("The digests are equal.")


def _expect_equal(what: str, wanted: str, found: str) -> None:
    if wanted != found:
        raise CliError(f"The digest of {what} differs.", why=(f"{found} in place of {wanted}",))
