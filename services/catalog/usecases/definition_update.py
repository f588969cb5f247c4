"""Changing an image definition."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from services.catalog.domain import features, names, reasons
from services.catalog.domain.definition import Definition, Recommended
from services.catalog.domain.hardware import Architecture, HyperVGeneration, PurchasePlan
from services.catalog.ports.calls import Context, Subscriptions
from services.catalog.ports.transaction import Mutation, Tx
from services.catalog.usecases import checks
from services.catalog.usecases.resource_groups import tags_after
from services.catalog.usecases.updates import Update, admit, refuse_absent, revised
from services.kernel.errors import NotFound
from services.kernel.field_mask import FieldTable, replaced
from services.kernel.names import fold
from services.kernel.violations import Violations

_PATH: Final = "image_definition"
FIELDS: Final = FieldTable(
    mutable=frozenset(
        {
            "description",
            "release_note_uri",
            "end_of_life_time",
            "recommended.vcpus",
            "recommended.memory_gb",
            "features",
            "tags",
        }
    ),
    immutable=frozenset(
        {
            "location",
            "os_type",
            "os_state",
            "identifier.publisher",
            "identifier.offer",
            "identifier.sku",
            "hyper_v_generation",
            "architecture",
            "eula",
            "privacy_statement_uri",
            "disallowed",
            "purchase_plan",
        }
    ),
    output_only=frozenset({"create_time", "update_time", "uid", "provisioning_state"}),
    maps=frozenset({"tags"}),
)
"""What DESIGN section 4 lists under "What may be updated"."""
# What these mean where they are not set.
_UNSET: Final = {"hyper_v_generation": HyperVGeneration.V1, "architecture": Architecture.X64}


def update(
    command: Update,
    context: Context,
    mutation: Mutation[Definition],
    *,
    subscriptions: Subscriptions,
    allow_update_image: bool,
) -> bytes:
    """Change a definition; its features only where the request says that they may change.

    Raises:
        InvalidArgument, FailedPrecondition: everything that is wrong with the request.
        NotFound: there is no such definition.
        Aborted: ETAG_MISMATCH, or the definition is being deleted.
    """

    def work(tx: Tx) -> Definition:
        violations = context.violations.copy()
        checks.subscription(subscriptions, command.name.text, violations)
        definition = tx.definitions.get(command.name.key, lock=True)
        gallery = tx.galleries.get(command.name.parent().key, share=True)
        if definition is None or gallery is None:
            absent = NotFound.of(names.DEFINITION_TYPE, command.name.text)
            _check_sent(command, context, violations)
            raise refuse_absent(command, FIELDS, violations, absent)
        sent = _as_stored(command.with_defaults(_UNSET).sent, definition)
        changes = FIELDS.changes(command.mask, sent, fields_of(definition), violations)
        changed = _changed(definition, changes, violations)
        if changed.end_of_life_time != definition.end_of_life_time:
            _check_end(changed.end_of_life_time, context, violations)
        if changed.features != definition.features:
            if not allow_update_image:
                violations.immutable("features")
            features.check_sharing(
                changed.features, gallery.effective_mode, definition.name, violations
            )
            if not violations:
                _check_versions(tx, definition, changed, violations)
        admit(tx, definition, command.etag, violations)
        changed = revised(changed, context)
        tx.definitions.update(changed)
        return changed

    return mutation.commit(work)


def fields_of(definition: Definition) -> Mapping[str, Any]:
    """Answer the values of a definition by the first parts of their paths."""
    return {
        "location": definition.location,
        "os_type": definition.os_type,
        "os_state": definition.os_state,
        "identifier": definition.identifier,
        "hyper_v_generation": definition.hyper_v_generation,
        "architecture": definition.architecture,
        "description": definition.description,
        "eula": definition.eula,
        "privacy_statement_uri": definition.privacy_statement_uri,
        "release_note_uri": definition.release_note_uri,
        "end_of_life_time": definition.end_of_life_time,
        "recommended": definition.recommended,
        "disallowed": definition.disallowed_disk_types,
        "purchase_plan": definition.purchase_plan,
        "features": definition.features,
        "tags": definition.tags,
    }


def _as_stored(sent: Mapping[str, Any], definition: Definition) -> Mapping[str, Any]:
    """Answer what was sent with the stored spelling of what is compared without case."""
    parts: Mapping[str, str | None] = sent["identifier"]
    stored = {
        part: own if fold(parts[part] or "") == fold(own) else parts[part]
        for part in ("publisher", "offer", "sku")
        if (own := getattr(definition.identifier, part))
    }
    plan: PurchasePlan | None = sent["purchase_plan"]
    own_plan = definition.purchase_plan
    if plan is not None and own_plan is not None and plan.key == own_plan.key:
        plan = own_plan
    return {**sent, "identifier": stored, "purchase_plan": plan}


def _check_versions(tx: Tx, before: Definition, after: Definition, violations: Violations) -> None:
    """Note versions that exist and would be another thing than they were published as."""
    for name, low, high in features.redefined(before.features, after.features):
        version = tx.versions.numbered(before.key, low, high)
        if version is None:
            continue
        violations.precondition(
            reasons.FEATURE_CONFLICT,
            version,
            f"{name} would change for {version}, which exists: let it start at a later version",
            reason=reasons.FEATURE_CONFLICT,
            metadata={"feature": name, "resource": version},
        )


def _changed(
    definition: Definition, changes: Mapping[str, Any], violations: Violations
) -> Definition:
    after = replace(definition, tags=tags_after(definition.tags, changes))
    if "description" in changes:
        after = replace(after, description=changes["description"] or "")
    if "release_note_uri" in changes:
        after = replace(after, release_note_uri=changes["release_note_uri"] or "")
    if "end_of_life_time" in changes:
        after = replace(after, end_of_life_time=changes["end_of_life_time"])
    parts = {
        path.partition(".")[2]: value
        for path, value in changes.items()
        if path.startswith("recommended.")
    }
    if parts:
        recommended = replaced(definition.recommended or Recommended(), parts)
        after = replace(after, recommended=recommended if recommended != Recommended() else None)
    if "features" in changes:
        canonical = features.canonical(
            changes["features"] or (),
            definition.hyper_v_generation,
            f"{_PATH}.features",
            violations,
            stored=True,
        )
        after = replace(after, features=canonical)
    return after


def _check_sent(command: Update, context: Context, violations: Violations) -> None:
    """Note what values show to be wrong with them by themselves."""
    asked = FIELDS.changes(command.mask, command.sent, {}, Violations())
    sent = asked.get("features") or ()
    features.canonical(sent, HyperVGeneration.V2, f"{_PATH}.features", violations, stored=True)
    _check_end(asked.get("end_of_life_time"), context, violations)


def _check_end(end: datetime | None, context: Context, violations: Violations) -> None:
    if end is not None and end <= context.clock.now():
        violations.add(
            f"{_PATH}.end_of_life_time", "must be in the future", reason=reasons.END_OF_LIFE_PASSED
        )
