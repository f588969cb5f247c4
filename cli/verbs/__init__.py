"""The commands about resources, in the words of `az sig`."""

from typing import Final

from cli.lazy import Entry

_INSTALLATION: Final = "This machine"
_PUBLISH: Final = "Publish"
_SHARE: Final = "Share and consume"
_ADMINISTER: Final = "Administer"

# Name of the command -> the module whose `app` it is, in the order of the help.
COMMANDS: Final[dict[str, Entry]] = {
    "demo": Entry(
        "cli.demo.command", "Try it: publish, replicate, share and pull an image.", _INSTALLATION
    ),
    "group": Entry("cli.verbs.group", "Resource groups.", _PUBLISH),
    "blob": Entry("cli.verbs.blob", "Upload the bytes of disks.", _PUBLISH),
    "disk": Entry("cli.verbs.disk", "Managed disks of blobs.", _PUBLISH),
    "snapshot": Entry("cli.verbs.snapshot", "Snapshots of disks.", _PUBLISH),
    "vm": Entry("cli.verbs.virtual_machine", "Machines that images are made from.", _PUBLISH),
    "storage-account": Entry("cli.verbs.storage_account", "Places with VHDs.", _PUBLISH),
    "disk-encryption-set": Entry(
        "cli.verbs.disk_encryption_set", "Keys that disks are encrypted with.", _PUBLISH
    ),
    "managed-image": Entry(
        "cli.verbs.managed_image", "Make images of blobs, VHDs, disks and machines.", _PUBLISH
    ),
    "gallery": Entry("cli.verbs.gallery", "Galleries.", _PUBLISH),
    "image-definition": Entry("cli.verbs.image_definition", "Image definitions.", _PUBLISH),
    "image-version": Entry(
        "cli.verbs.image_version", "Image versions: publish, watch, resolve, pull.", _PUBLISH
    ),
    "operation": Entry("cli.verbs.operation", "Long-running operations.", _PUBLISH),
    "share": Entry("cli.verbs.share", "Share galleries, and see what is shared.", _SHARE),
    "role": Entry("cli.verbs.role", "Roles and who has them where.", _SHARE),
    "deny": Entry("cli.verbs.deny", "What is forbidden, whatever roles say.", _SHARE),
    "explain": Entry("cli.verbs.explain", "Why somebody may do something, or not.", _SHARE),
    "who-can": Entry("cli.verbs.who_can", "Who may do something.", _SHARE),
    "what-may-i": Entry("cli.verbs.what_may_i", "What you may do, and where.", _SHARE),
    "ad": Entry("cli.verbs.ad", "Users, groups and service principals.", _ADMINISTER),
    "subscription": Entry("cli.verbs.subscription", "Subscriptions.", _ADMINISTER),
    "audit": Entry("cli.verbs.audit", "Who did what, and the proof of it.", _ADMINISTER),
    "usage": Entry("cli.verbs.usage", "What is used, and how much may be.", _ADMINISTER),
    "region": Entry("cli.verbs.region", "Regions and their stores.", _ADMINISTER),
    "store": Entry("cli.verbs.store", "Verify what lies in a store.", _ADMINISTER),
}
