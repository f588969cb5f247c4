"""The readers of one process."""

from dataclasses import dataclass

from services.catalog.store.definition_reader import DefinitionReader
from services.catalog.store.deployment import DeploymentReader
from services.catalog.store.gallery_reader import GalleryReader
from services.catalog.store.lists import (
    DISKS,
    ENCRYPTION_SETS,
    GALLERIES,
    GROUPS,
    MANAGED_IMAGES,
    SNAPSHOTS,
    STORAGE_ACCOUNTS,
    VIRTUAL_MACHINES,
)
from services.catalog.store.readers import TableReader
from services.catalog.store.version_reader import VersionReader
from services.catalog.store.views import ViewReader
from services.kernel.db.engine import Database


@dataclass(frozen=True, slots=True)
class StoreReaders:
    """The readers of one process."""

    groups: TableReader
    galleries: TableReader
    definitions: DefinitionReader
    versions: VersionReader
    managed_images: TableReader
    virtual_machines: TableReader
    disks: TableReader
    snapshots: TableReader
    storage_accounts: TableReader
    encryption_sets: TableReader
    views: ViewReader
    deployments: DeploymentReader

    @staticmethod
    def of(db: Database) -> "StoreReaders":
        """Build the readers of a database."""
        return StoreReaders(
            TableReader(db, GROUPS),
            GalleryReader(db, GALLERIES),
            DefinitionReader(db),
            VersionReader(db),
            TableReader(db, MANAGED_IMAGES),
            TableReader(db, VIRTUAL_MACHINES),
            TableReader(db, DISKS),
            TableReader(db, SNAPSHOTS),
            TableReader(db, STORAGE_ACCOUNTS),
            TableReader(db, ENCRYPTION_SETS),
            ViewReader(db),
            DeploymentReader(db),
        )
