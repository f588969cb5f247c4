"""One request that succeeds for every method: what attackers change a little and send again."""

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.system.disks import noise
from tests.system.installation import SUBSCRIPTION, TENANT
from tests.system.publishing import HOME, ROLES, Shop, unique, upload
from tests.system.test_contract import SERVICES, methods
from tests.system.victims import Robbed, Victim
from tests.vhd import write_fixed_vhd

AWAY: Final = "eastus2"
# Able to keep confidential machines, once this has been here.
SAFE: Final = "westus"
_STORE: Final = "images"
_LINUX: Final = {"os_type": "OS_TYPE_LINUX", "os_state": "OS_STATE_GENERALIZED"}
_V2: Final = {"hyper_v_generation": "HYPER_V_GENERATION_V2"}
_PLAN: Final = {"name": "base", "publisher": "contoso", "product": "linux"}
_METHODS: Final[Mapping[str, tuple[str, MethodDescriptor]]] = {
    f"{method.containing_service.name}.{method.name}": (service, method)
    for service in SERVICES
    for method in methods(service)
}


def ask(owner: Robbed, name: str, /, **fields: Any) -> Any:
    """Call a method by its name, as JSON has its request; the call must succeed."""
    service, method = _METHODS[name]
    path = f"/{method.containing_service.full_name}/{method.name}"
    call: Any = owner.channel(service).unary_unary(
        path,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    return call(_request(method, fields))


def would(owner: Robbed, name: str, /, **fields: Any) -> None:
    """Keep a request that would succeed, and take something with it."""
    request = _request(_METHODS[name][1], fields)
    owner.loot.seeds[request.DESCRIPTOR.full_name].append(request)


def _request(method: MethodDescriptor, fields: Mapping[str, Any]) -> Message:
    given = dict(fields)
    mask = given.pop("update_mask", "")
    found: Any = ParseDict(given, GetMessageClass(method.input_type)())
    if mask:
        # JSON spells masks in another way than everything else of the contract.
        found.update_mask.paths.extend(mask.split(","))
    made: Message = found
    return made


def source_stores(folder: Path) -> str:
    """Put VHDs into a folder; answer the setting that allows it as a source at home."""
    (folder / "web").mkdir(parents=True)
    for number, name in enumerate(("os", "data")):
        write_fixed_vhd(folder / "web" / f"{name}.vhd", noise(1, 300 + number).content)
    return f"{_STORE}={HOME} {folder.as_uri()}"


def sow(victim: Victim) -> None:
    """Use everything, in an installation with the setting of `source_stores`."""
    owner, shop = victim.owner, victim.private
    _sow_regions(owner)
    sources = _sow_sources(owner, shop)
    _sow_galleries(owner, shop)
    _sow_versions(owner, shop, sources)
    _sow_generations(owner, shop, sources["set"])
    _sow_views(victim)
    _sow_replication(owner, shop)
    _sow_directory(owner)
    _sow_policy(owner, shop)
    _sow_answers(owner, shop)
    _sow_deletions(owner, shop)


def _sow_regions(owner: Robbed) -> None:
    prices = {"currency_code": "EUR", "stored_gib_month_micros": 9, "crossed_gib_micros": 5}
    region = {
        "name": f"regions/{SAFE}",
        "capabilities": ["REGION_CAPABILITY_CONFIDENTIAL"],
        "prices": prices,
        "limits": {"concurrent_copies": 4},
    }
    ask(owner, "RegionService.UpdateRegion", region=region, update_mask="capabilities,prices")
    ask(owner, "RegionService.GetRegion", name=f"regions/{SAFE}")
    new = {"display_name": "Far", "slots": [{"id": "a", "store_url": "file:///nowhere"}]}
    would(owner, "RegionService.CreateRegion", region_id="far", region=new, validate_only=True)
    would(owner, "RegionService.DeleteRegion", name="regions/far")


def _make(owner: Robbed, kind: str, parent: str, /, **fields: Any) -> str:
    """Make a source of a kind, read it and list those beside it; answer its name."""
    words = "".join(f"_{one.lower()}" if one.isupper() else one for one in kind)[1:]
    made = ask(
        owner,
        f"{kind}Service.Create{kind}",
        parent=parent,
        **{f"{words}_id": unique(words.replace("_", "")), words: {"location": HOME, **fields}},
    )
    ask(owner, f"{kind}Service.Get{kind}", name=made.name)
    plain = {"order_by": "name", "filter": f'location = "{HOME}"', "page_size": 1}
    ask(owner, f"{kind}Service.List{kind}s", parent=parent, **plain)
    would(owner, f"{kind}Service.Delete{kind}", name=made.name)
    return str(made.name)


def _sow_sources(owner: Robbed, shop: Shop) -> dict[str, str]:
    group = shop.group
    blobs = [upload(owner, group, noise(1, 200 + number)) for number in range(3)]
    system = {**_LINUX, **_V2, "architecture": "ARCHITECTURE_X64"}
    found = {"set": _make(owner, "DiskEncryptionSet", group, key_uri="https://v.example/k/1")}
    _make(
        owner,
        "DiskEncryptionSet",
        group,
        key_uri="https://v.example/k/2",
        encryption_type="ENCRYPTION_TYPE_CONFIDENTIAL_VM_WITH_CUSTOMER_KEY",
        location=SAFE,
    )
    found["disk"] = _make(
        owner,
        "Disk",
        group,
        **system,
        blob=blobs[0],
        disk_type="DISK_TYPE_STANDARD_LRS",
        disk_encryption_set=found["set"],
        security_type="MACHINE_SECURITY_TYPE_STANDARD",
        disk_controller_types=["DISK_CONTROLLER_TYPE_SCSI"],
        accelerated_networking_supported=True,
        tags={"team": "images"},
    )
    found["data"] = _make(owner, "Disk", group, blob=blobs[1])
    found["snapshot"] = _make(
        owner, "Snapshot", group, **system, blob=blobs[0], accelerated_networking_supported=False
    )
    found["blob"] = blobs[2]
    account = _make(owner, "StorageAccount", group, store=_STORE)
    vhd = {"storage_account": account, "path": "web/os.vhd"}
    found["machine"] = _make(
        owner,
        "VirtualMachine",
        group,
        **system,
        size="Standard_D2s_v5",
        power_state="POWER_STATE_DEALLOCATED",
        os_disk={"disk": found["disk"], "host_caching": "HOST_CACHING_READ_ONLY"},
        data_disks=[{"lun": 0, "disk": found["data"]}],
    )
    _make(owner, "VirtualMachine", group, **_LINUX, size="Standard_D2s_v5", os_disk={"vhd": vhd})
    vhds = {"os_vhd": vhd, "data_vhds": [{"lun": 1, "vhd": {**vhd, "path": "web/data.vhd"}}]}
    of_blobs = {"os_blob": blobs[0], "data_blobs": [{"lun": 3, "blob": blobs[1]}]}
    for source in (
        {**system, "blobs": of_blobs},
        {**system, "vhds": vhds},
        {"disk": found["disk"]},
        {"snapshot": found["snapshot"]},
        {"virtual_machine": found["machine"]},
    ):
        found["image"] = _make(owner, "ManagedImage", group, **source)
    return found


def _sow_galleries(owner: Robbed, shop: Shop) -> None:
    group = {"name": shop.group, "tags": {"a": "b"}}
    ask(owner, "ResourceGroupService.UpdateResourceGroup", resource_group=group, update_mask="tags")
    gallery = {
        "name": shop.gallery,
        "description": "golden",
        "allow_copy": True,
        "soft_delete_policy": {"enabled": True, "retention_duration": "90000s"},
    }
    ask(
        owner,
        "GalleryService.UpdateGallery",
        gallery=gallery,
        update_mask="description,allow_copy,soft_delete_policy",
    )
    definition = {
        "location": HOME,
        **_LINUX,
        **_V2,
        "identifier": {"publisher": "contoso", "offer": "linux", "sku": "full"},
        "recommended": {"vcpus": {"min": 1, "max": 8}, "memory_gb": {"max": 64}},
        "disallowed": {"disk_types": ["DISK_TYPE_STANDARD_LRS"]},
        "purchase_plan": _PLAN,
        "features": [
            {"name": "SecurityType", "value": "TrustedLaunchSupported"},
            {"name": "DiskControllerTypes", "value": "SCSI, NVMe"},
        ],
        "end_of_life_time": "2031-01-01T00:00:00Z",
    }
    made = ask(
        owner,
        "ImageDefinitionService.CreateImageDefinition",
        parent=shop.gallery,
        image_definition_id=unique("full"),
        image_definition=definition,
    )
    feature = {"name": "IsHibernateSupported", "value": "True", "starts_at_version": "2.0.0"}
    ask(
        owner,
        "ImageDefinitionService.UpdateImageDefinition",
        image_definition={"name": made.name, "features": [*definition["features"], feature]},
        update_mask="features",
        allow_update_image=True,
    )
    would(owner, "ImageDefinitionService.DeleteImageDefinition", name=made.name, force=True)


def _sow_versions(owner: Robbed, shop: Shop, sources: Mapping[str, str]) -> None:
    key = {"type": "UEFI_KEY_TYPE_SHA256", "values": ["QUJD" * 10 + "QUI="]}
    uefi = {
        "signature_templates": ["UEFI_SIGNATURE_TEMPLATE_MICROSOFT_WINDOWS"],
        "additional_signatures": {"db": [key]},
    }
    os = {"source": {"disk": sources["disk"]}, "host_caching": "HOST_CACHING_READ_ONLY"}
    encrypted = {"os_disk_image": {"disk_encryption_set": sources["set"]}}
    profiles: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"source": {"virtual_machine": sources["machine"]}}, {"tags": {"of": "machine"}}),
        ({"source": {"managed_image": sources["image"]}}, {"exclude_from_latest": True}),
        ({"source": {"image_version": f"{shop.definition}/versions/1.0.0"}}, {}),
        ({"os_disk_image": {"source": {"snapshot": sources["snapshot"]}}}, {}),
        ({"os_disk_image": {"source": {"blob": sources["blob"]}}}, {"uefi_settings": uefi}),
        (
            {"os_disk_image": os, "data_disk_images": [{"lun": 7, "source": os["source"]}]},
            {"safety_profile": {"block_deletion_before_end_of_life": True}},
        ),
        (
            {"os_disk_image": os},
            {"target_regions": [{"location": HOME, "encryption": encrypted}]},
        ),
    ]
    # A disk is a disk of a version once.
    profiles[5][0]["data_disk_images"][0]["source"] = {"disk": sources["data"]}
    for number, (profile, more) in enumerate(profiles, 1):
        version = {
            "location": HOME,
            "storage_profile": profile,
            "target_regions": [{"location": HOME, "regional_replica_count": 1}],
            "end_of_life_time": "2031-01-01T00:00:00Z",
            **more,
        }
        made = ask(
            owner,
            "ImageVersionService.CreateImageVersion",
            parent=shop.definition,
            image_version_id=f"2.0.{number}",
            image_version=version,
            wait_for="WAIT_MODE_HOME_REGION",
        )
        done = owner.ended(made)
        assert not done.HasField("error"), done.error


def _sow_generations(owner: Robbed, shop: Shop, keys: str) -> None:
    name = f"{shop.definition}/versions/1.0.0"
    service = "ImageVersionService"
    zoned = {"location": AWAY, "exclude_from_latest": True}
    ask(owner, f"{service}.AddTargetRegions", name=name, target_regions=[zoned])
    count = {"location": HOME, "replica_count": 2}
    ask(owner, f"{service}.SetReplicaCounts", name=name, regional_replica_counts=[count])
    ask(owner, f"{service}.RemoveTargetRegions", name=name, locations=[AWAY])
    encryption = {"os_disk_image": {"disk_encryption_set": keys}}
    wanted = [{"location": HOME, "encryption": encryption}]
    would(
        owner,
        f"{service}.UpdateImageVersion",
        image_version={"name": name, "target_regions": wanted, "replica_count": 1},
        update_mask="target_regions,replica_count",
    )
    gone = f"{shop.definition}/versions/2.0.3"
    owner.ended(ask(owner, f"{service}.DeleteImageVersion", name=gone))
    owner.ended(ask(owner, f"{service}.UndeleteImageVersion", name=gone))
    would(owner, f"{service}.DeleteImageVersion", name=gone, purge=True)
    would(owner, f"{service}.PromoteImageVersion", name=name)
    would(owner, f"{service}.PlanImageVersion", name=name, promote={"name": name})
    plan = {"name": name, "target_regions": [{"location": AWAY}]}
    would(owner, f"{service}.PlanImageVersion", name=name, add_target_regions=plan)


def _sow_views(victim: Victim) -> None:
    owner, place = victim.owner, f"{SUBSCRIPTION}/locations/{HOME}"
    gallery = ask(owner, "GalleryService.GetGallery", name=victim.public.gallery)
    (public,) = gallery.sharing_profile.community_gallery_info.public_names
    shared = ask(owner, "GalleryService.GetGallery", name=victim.shared.gallery).unique_name
    for kind, parent in (
        ("Community", f"{place}/communityGalleries/{public}"),
        ("Shared", f"{place}/sharedGalleries/{shared}"),
    ):
        service = f"{kind}GalleryService"
        image, version = f"{parent}/images/linux-base", f"{parent}/images/linux-base/versions/1.0.0"
        ask(owner, f"{service}.Get{kind}Gallery", name=parent)
        ask(owner, f"{service}.Get{kind}GalleryImage", name=image)
        ask(owner, f"{service}.Get{kind}GalleryImageVersion", name=version)
        ask(owner, f"{service}.List{kind}Galleries", parent=place, page_size=1)
        ask(owner, f"{service}.List{kind}GalleryImages", parent=parent, page_size=1)
        ask(owner, f"{service}.List{kind}GalleryImageVersions", parent=image, page_size=1)
        for name in (image, version):
            _check(owner, name, accept_terms=True)
    ask(owner, "CommunityGalleryService.SearchCommunityGalleries", parent=place, query="linux")
    _check(owner, victim.private.definition, purchase_plan=_PLAN, os_profile_given=True)
    for path in ("", "/images/linux-base"):
        would(
            owner,
            "GalleryService.ShareGallery",
            name=victim.shared.gallery,
            operation="SHARE_OPERATION_REMOVE",
            groups={"subscriptions": [SUBSCRIPTION + path]},
        )
    would(
        owner,
        "GalleryService.ShareGallery",
        name=victim.shared.gallery,
        operation="SHARE_OPERATION_RESET",
    )


def _check(owner: Robbed, image: str, **machine: Any) -> None:
    shape = {
        "vcpus": 2,
        "memory_gb": 8,
        "os_disk_type": "DISK_TYPE_STANDARD_SSD_LRS",
        "data_disk_types": ["DISK_TYPE_STANDARD_LRS"],
        "security_type": "MACHINE_SECURITY_TYPE_TRUSTED_LAUNCH",
        "disk_controller_type": "DISK_CONTROLLER_TYPE_NVME",
        **machine,
    }
    ask(
        owner,
        "ImageVersionService.CheckDeployment",
        image=image,
        location=HOME,
        machine=shape,
        kind="DEPLOYMENT_KIND_UNIFORM_SCALE_SET",
        instance_count=40,
    )


def _sow_replication(owner: Robbed, shop: Shop) -> None:
    version = f"{shop.definition}/versions/1.0.0"
    found = ask(owner, "ReplicationService.ListReplications", parent=version).replications[0]
    every = {"disk": {"os": True}, "locations": [HOME]}
    would(owner, "ReplicationService.WatchReplication", name=version, follow_successors=True)
    would(owner, "ReplicationService.CancelReplication", name=found.name, locations=[HOME])
    would(owner, "ReplicationService.RetryReplication", name=version, locations=[HOME])
    would(owner, "ReplicationService.VerifyReplicas", name=version, **every)
    piece = {"name": version, "location": HOME, "disk": {"os": True}}
    would(owner, "ImageDiskService.ReadDisk", **piece, ranges=[{"offset_bytes": 512}])
    would(owner, "ImageDiskService.OpenDisk", **piece, length_bytes=4096)
    blob = ask(owner, "BlobService.ListBlobs", parent=shop.group, page_size=1).blobs[0].name
    ask(owner, "BlobService.GetBlob", name=blob)
    would(owner, "BlobService.DeleteBlob", name=blob)
    would(owner, "BlobService.UploadBlob", start={"name": blob})


def _sow_directory(owner: Robbed) -> None:
    service = "DirectoryService"
    root = ask(owner, f"{service}.GetTenant", name=TENANT).root_management_group
    ask(owner, f"{service}.ListTenants", page_size=1)
    ask(owner, f"{service}.UpdateTenant", tenant={"name": TENANT, "display_name": "Everyone"})
    other = {"display_name": "Other"}
    mary = {"display_name": "Mary", "user_principal_name": f"{unique('mary')}@example.org"}
    tenant = ask(
        owner,
        f"{service}.CreateTenant",
        tenant_id=unique("other"),
        tenant=other,
        initial_owner=mary,
        initial_owner_id=unique("mary"),
    )
    would(owner, f"{service}.DeleteTenant", name=tenant.name)
    below = {"display_name": "Below", "parent_management_group": root}
    group = _entry(owner, "ManagementGroup", TENANT, below)
    held = ask(owner, f"{service}.ListSubscriptions", page_size=1000).subscriptions
    # Other tests may have let the owner into tenants of their own.
    own = [one.name for one in held if one.tenant == TENANT]
    subscription = next(name for name in own if name != SUBSCRIPTION)
    ask(owner, f"{service}.GetSubscription", name=subscription)
    moved = {"name": subscription, "parent_management_group": group}
    mask = "parent_management_group"
    ask(owner, f"{service}.UpdateSubscription", subscription=moved, update_mask=mask)
    ask(owner, f"{service}.DisableSubscription", name=subscription)
    ask(owner, f"{service}.EnableSubscription", name=subscription)
    user = _entry(owner, "User", TENANT, {**mary, "user_principal_name": "m2@example.org"})
    inner = _entry(owner, "Group", TENANT, {"display_name": "Inner", "description": "x"})
    _entry(owner, "ServicePrincipal", TENANT, {"display_name": "Builder"})
    ask(owner, f"{service}.AddGroupMembers", group=inner, members=[user])
    ask(owner, f"{service}.ListGroupMembers", group=inner, transitive=True, page_size=1)
    ask(owner, f"{service}.RemoveGroupMembers", group=inner, members=[user])


def _entry(owner: Robbed, kind: str, parent: str, entry: Mapping[str, Any]) -> str:
    """Make an entry of the directory, read, change and list it; answer its name."""
    service = "DirectoryService"
    words = "".join(f"_{one.lower()}" if one.isupper() else one for one in kind)[1:]
    new = {f"{words}_id": unique("x"), words: entry}
    name = ask(owner, f"{service}.Create{kind}", parent=parent, **new).name
    ask(owner, f"{service}.Get{kind}", name=name)
    changed = {"name": name, "display_name": "Renamed"}
    ask(owner, f"{service}.Update{kind}", **{words: changed}, update_mask="display_name")
    ask(owner, f"{service}.List{kind}s", parent=parent, page_size=1, order_by="name")
    would(owner, f"{service}.Delete{kind}", name=name)
    return str(name)


def _sow_policy(owner: Robbed, shop: Shop) -> None:
    role = {
        "role_name": unique("Image reader "),
        "permissions": [
            {
                "actions": ["Microsoft.Compute/galleries/*", "*/read"],
                "not_actions": ["Microsoft.Compute/galleries/share/action"],
            }
        ],
        "assignable_scopes": [SUBSCRIPTION],
        "tenant": TENANT,
    }
    service = "RoleDefinitionService"
    ids = str(uuid.uuid4())
    made = ask(
        owner, f"{service}.CreateRoleDefinition", role_definition_id=ids, role_definition=role
    )
    ask(owner, f"{service}.GetRoleDefinition", name=made.name)
    changed = {"name": made.name, "description": "reads"}
    ask(
        owner,
        f"{service}.UpdateRoleDefinition",
        role_definition=changed,
        update_mask="description",
    )
    ask(owner, f"{service}.ListRoleDefinitions", assignable_at=shop.group, page_size=1)
    would(owner, f"{service}.DeleteRoleDefinition", name=made.name)
    mary = ask(owner, "DirectoryService.ListUsers", parent=TENANT, page_size=9).users[-1].name
    condition = (
        "((!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})) OR "
        "(@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] "
        f"ForAnyOfAnyValues:GuidEquals {{{ROLES['Reader']}}}))"
    )
    assignment = {
        "principal": mary,
        "role_definition": f"roleDefinitions/{ROLES['Contributor']}",
        "end_time": "2031-01-01T00:00:00Z",
    }
    denial = {
        "display_name": "Nobody deletes",
        "permissions": [{"actions": ["Microsoft.Compute/disks/delete"]}],
        "everyone": True,
        "exclude_principals": [mary],
    }
    conditional = {**assignment, "condition": condition, "condition_version": "2.0"}
    for kind, value in (("Role", conditional), ("Deny", denial)):
        _assign(owner, kind, shop.definition, value)
    _sow_eligible(owner, shop.group)


def _sow_eligible(owner: Robbed, scope: str) -> None:
    service = "EligibleAssignmentService"
    users = ask(owner, "DirectoryService.ListUsers", parent=TENANT, page_size=99).users
    (me,) = (one.name for one in users if one.user_principal_name.startswith("owner"))
    value = {
        "principal": me,
        "role_definition": f"roleDefinitions/{ROLES['Reader']}",
        "max_activation_duration": "3600s",
        "justification_required": False,
    }
    ids = str(uuid.uuid4())
    eligible = {"eligible_assignment_id": ids, "eligible_assignment": value}
    made = ask(owner, f"{service}.CreateEligibleAssignment", parent=scope, **eligible)
    ask(owner, f"{service}.GetEligibleAssignment", name=made.name)
    ask(owner, f"{service}.ListEligibleAssignments", parent=scope, page_size=1)
    ask(owner, f"{service}.ActivateEligibleAssignment", name=made.name, duration="600s")
    ask(owner, f"{service}.DeactivateEligibleAssignment", name=made.name)
    would(owner, f"{service}.DeleteEligibleAssignment", name=made.name)


def _assign(owner: Robbed, kind: str, scope: str, value: Mapping[str, Any]) -> None:
    service = f"{kind}AssignmentService"
    words = f"{kind.lower()}_assignment"
    new = {f"{words}_id": str(uuid.uuid4()), words: value}
    made = ask(owner, f"{service}.Create{kind}Assignment", parent=scope, **new)
    ask(owner, f"{service}.Get{kind}Assignment", name=made.name)
    below = {"relation": "SCOPE_RELATION_AT_AND_BELOW", "page_size": 1}
    ask(owner, f"{service}.List{kind}Assignments", parent=SUBSCRIPTION, **below)
    # It takes effect after this has been answered, and would stand in the way of what follows.
    ask(owner, f"{service}.Delete{kind}Assignment", name=made.name)


def _sow_answers(owner: Robbed, shop: Shop) -> None:
    read = "Microsoft.Compute/galleries/read"
    service = "AuthorizationService"
    item = {"action": read, "resource": shop.gallery, "correlation_id": "a"}
    ask(owner, f"{service}.BatchCheck", items=[item])
    ask(owner, f"{service}.CheckAll", items=[item])
    ask(owner, f"{service}.TestActions", resource=shop.gallery, actions=[read])
    ask(owner, f"{service}.ListAccessible", action=read, parent=SUBSCRIPTION, page_size=1)
    would(owner, f"{service}.ListSubjects", action=read, resource=shop.gallery)
    would(owner, f"{service}.Explain", decision_id=str(uuid.uuid4()))
    change = {"gallery": shop.gallery}
    would(owner, f"{service}.SimulateChange", changes=[{"share_gallery": change}])
    ask(owner, "AuditService.ListAuditRecords", parent=TENANT, page_size=1)
    place = f"{SUBSCRIPTION}/locations/{HOME}"
    ask(owner, "UsageService.ListUsages", parent=place, page_size=1)
    ask(owner, "UsageService.GetUsage", name=f"{place}/usages/storedBytes")


def _sow_deletions(owner: Robbed, shop: Shop) -> None:
    for flag in ("force", "validate_only"):
        would(owner, "GalleryService.DeleteGallery", name=shop.gallery, **{flag: True})
        would(owner, "ResourceGroupService.DeleteResourceGroup", name=shop.group, **{flag: True})


def unsown(owner: Robbed) -> Iterator[str]:
    """The methods that nothing was kept for."""
    for name, (_, method) in _METHODS.items():
        if method.input_type.full_name not in owner.loot.seeds:
            yield name
