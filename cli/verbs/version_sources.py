"""What a version is made of, by the options that say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stoa.catalog.v1 import storage_profile_pb2 as pb

from cli.errors import UsageProblem
from cli.verbs import names
from cli.verbs.options import exactly_one
from cli.verbs.values import by_lun, vhd, with_luns

_COLLECTIONS: Final = {
    "managed_image": "managedImages",
    "virtual_machine": "virtualMachines",
    "disk": "disks",
    "snapshot": "snapshots",
    "blob": "blobs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The options; empty is what was not said. Ids are of things in the resource group."""

    subscription: str | None
    resource_group: str
    managed_image: str = ""
    virtual_machine: str = ""
    image_version: str = ""
    os_blob: str = ""
    os_disk: str = ""
    os_snapshot: str = ""
    os_vhd_uri: str = ""
    os_vhd_storage_account: str = ""
    data_blobs: Sequence[str] = ()
    data_disks: Sequence[str] = ()
    data_snapshots: Sequence[str] = ()
    data_snapshot_luns: Sequence[int] = ()
    data_vhds_uris: Sequence[str] = ()
    data_vhds_sa: Sequence[str] = ()
    data_vhds_luns: Sequence[int] = ()

    def profile(self) -> pb.StorageProfile:
        """The storage profile.

        Raises:
            UsageProblem: the options name no source, or several, or disks that do not fit.
        """
        kind = exactly_one(
            managed_image=self.managed_image,
            virtual_machine=self.virtual_machine,
            image_version=self.image_version,
            os_blob=self.os_blob,
            os_disk=self.os_disk,
            os_snapshot=self.os_snapshot,
            os_vhd_uri=self.os_vhd_uri,
        )
        data = self._data()
        if not kind.startswith("os_"):
            if data:
                raise UsageProblem(
                    "Data disks are named with an OS disk alone.",
                    todo=f"Leave them out: they come with --{kind.replace('_', '-')}",
                )
            return pb.StorageProfile(source=self._whole(kind))
        return pb.StorageProfile(
            os_disk_image=pb.OsDiskImage(source=self._os(kind)),
            data_disk_images=[
                pb.DataDiskImage(lun=lun, source=source) for lun, source in sorted(data.items())
            ],
        )

    def _whole(self, kind: str) -> pb.VersionSource:
        match kind:
            case "managed_image":
                return pb.VersionSource(managed_image=self._named(kind, self.managed_image))
            case "virtual_machine":
                return pb.VersionSource(virtual_machine=self._named(kind, self.virtual_machine))
            case _:
                return version_source(self.image_version)

    def _os(self, kind: str) -> pb.DiskSource:
        if kind == "os_vhd_uri":
            return self._vhd(self.os_vhd_storage_account, self.os_vhd_uri)
        return self._disk(kind.removeprefix("os_"), getattr(self, kind))

    def _disk(self, kind: str, given: str) -> pb.DiskSource:
        name = self._named(kind, given)
        match kind:
            case "blob":
                return pb.DiskSource(blob=name)
            case "disk":
                return pb.DiskSource(disk=name)
            case _:
                return pb.DiskSource(snapshot=name)

    def _data(self) -> dict[int, pb.DiskSource]:
        named = {
            "blob": by_lun(self.data_blobs, option="--data-blobs"),
            "disk": by_lun(self.data_disks, option="--data-disks"),
            "snapshot": with_luns(
                self.data_snapshots, self.data_snapshot_luns, option="--data-snapshot-luns"
            )
            if self.data_snapshot_luns
            else by_lun(self.data_snapshots, option="--data-snapshots"),
        }
        found: dict[int, pb.DiskSource] = {}
        for kind, disks in named.items():
            for lun, one in disks.items():
                _put(found, lun, self._disk(kind, one))
        for lun, source in with_luns(
            self._data_vhds(), self.data_vhds_luns, option="--data-vhds-luns"
        ).items():
            _put(found, lun, source)
        return found

    def _data_vhds(self) -> list[pb.DiskSource]:
        paths = self.data_vhds_uris
        accounts = self.data_vhds_sa or [self.os_vhd_storage_account]
        if len(accounts) not in {1, len(paths)}:
            raise UsageProblem("--data-vhds-sa has one account for all VHDs, or one for each.")
        if len(accounts) == 1:
            accounts = [accounts[0]] * len(paths)
        return [self._vhd(account, path) for account, path in zip(accounts, paths, strict=True)]

    def _vhd(self, account: str, path: str) -> pb.DiskSource:
        return pb.DiskSource(vhd=vhd(self.subscription, self.resource_group, account, path))

    def _named(self, kind: str, given: str) -> str:
        return names.in_group(self.subscription, self.resource_group, _COLLECTIONS[kind], given)


def _put(found: dict[int, pb.DiskSource], lun: int, source: pb.DiskSource) -> None:
    if lun in found:
        raise UsageProblem(f"LUN {lun} is given twice.", todo="Say LUN=NAME for each data disk")
    found[lun] = source


def version_source(name: str) -> pb.VersionSource:
    """The source that is a version, by its full name, or by that of a view."""
    if "/sharedGalleries/" in name:
        return pb.VersionSource(shared_gallery_image_version=name)
    if "/communityGalleries/" in name:
        return pb.VersionSource(community_gallery_image_version=name)
    return pb.VersionSource(image_version=name)
