"""Target regions, as options say them."""

from collections.abc import Sequence

from stoa.catalog.v1 import target_region_pb2 as pb
from stoa.type.v1.storage_pb2 import StorageAccountType

from cli.errors import UsageProblem
from cli.verbs import names
from cli.verbs.words import value


def target_regions(
    given: Sequence[str] | None,
    encryption: Sequence[str] | None,
    *,
    subscription: str | None,
    resource_group: str,
) -> list[pb.TargetRegion]:
    """Read regions, and the encryption sets of each.

    Raises:
        UsageProblem: there is not one entry of sets for each region, or one cannot be read.
    """
    regions = [target_region(one) for one in given or ()]
    if not encryption:
        return regions
    if len(encryption) != len(regions):
        raise UsageProblem(
            "--target-region-encryption has one value for each of --target-regions.",
            todo="Say --target-regions a b --target-region-encryption setA setB",
        )
    for region, text in zip(regions, encryption, strict=True):
        sets, *disks = text.split(",")

        def named(given: str) -> str:
            return names.in_group(subscription, resource_group, "diskEncryptionSets", given)

        if sets:
            region.encryption.os_disk_image.disk_encryption_set = named(sets)
        if len(disks) % 2 or not all(lun.isdecimal() for lun in disks[::2]):
            raise UsageProblem(
                f"{text} is no value of --target-region-encryption.",
                todo="Say OSSET,LUN,SET,LUN,SET",
            )
        for lun, one in zip(disks[::2], disks[1::2], strict=True):
            region.encryption.data_disk_images.add(lun=int(lun), disk_encryption_set=named(one))
    return regions


def target_region(text: str) -> pb.TargetRegion:
    """Read `REGION[=COUNT[=TYPE]]`.

    Raises:
        UsageProblem: the count is no number, or the type none of storage.
    """
    location, _, rest = text.partition("=")
    count, _, kind = rest.partition("=")
    found = pb.TargetRegion(location=location)
    if count:
        try:
            found.regional_replica_count = int(count)
        except ValueError:
            raise UsageProblem(
                f"{text} is no value of --target-regions.", todo="Say --target-regions eastus=2"
            ) from None
    if kind:
        found.storage_account_type = storage_type(kind)
    return found


def storage_type(word: str) -> StorageAccountType.ValueType:
    """The kind of storage that a word means: `Standard_ZRS`.

    Raises:
        UsageProblem: it means none.
    """
    return value(StorageAccountType, "STORAGE_ACCOUNT_TYPE_", word, option="--storage-account-type")
