"""Resource names, from what the options of a command say.

Wherever an id is taken, the full name of the resource is taken as well.
"""

from cli.errors import UsageProblem
from cli.invocation import current
from cli.output import Column, Record
from cli.verbs.options import exactly_one

_FULL = ("subscriptions/", "tenants/", "regions/")
_ALL = "-"


def subscription(given: str | None) -> str:
    """`subscriptions/{s}`, of the option or of the context."""
    return f"subscriptions/{current().subscription(given)}"


def group(given: str | None, resource_group: str) -> str:
    """The name of a resource group."""
    if _is_full(resource_group):
        return resource_group
    return f"{subscription(given)}/resourceGroups/{resource_group}"


def in_group(given: str | None, resource_group: str, collection: str, name: str) -> str:
    """The name of a resource directly in a resource group."""
    if _is_full(name):
        return name
    return f"{group(given, resource_group)}/{collection}/{name}"


def gallery(given: str | None, resource_group: str, gallery_name: str) -> str:
    """The name of a gallery."""
    return in_group(given, resource_group, "galleries", gallery_name)


def definition(given: str | None, resource_group: str, gallery_name: str, image: str) -> str:
    """The name of a definition."""
    if _is_full(image):
        return image
    return f"{gallery(given, resource_group, gallery_name)}/images/{image}"


def version(
    given: str | None, resource_group: str, gallery_name: str, image: str, *, number: str
) -> str:
    """The name of a version."""
    if _is_full(number):
        return number
    return f"{definition(given, resource_group, gallery_name, image)}/versions/{number}"


def view(
    given: str | None, location: str, *, unique_name: str | None, public_name: str | None
) -> str:
    """The name of a shared or community gallery as a region shows it."""
    parent = view_parent(given, location)
    if exactly_one(gallery_unique_name=unique_name, public_gallery_name=public_name) == (
        "gallery_unique_name"
    ):
        return f"{parent}/sharedGalleries/{unique_name}"
    return f"{parent}/communityGalleries/{public_name}"


def view_parent(given: str | None, location: str) -> str:
    """Where the views of a region lie."""
    return f"{subscription(given)}/locations/{region_id(location)}"


def region_id(location: str) -> str:
    """The id of a region, for a name: `East US 2` and `regions/eastus2` are `eastus2`."""
    return location.removeprefix("regions/").replace(" ", "").casefold()


def image(
    given: str | None,
    definition_id: str,
    *,
    location: str,
    resource_group: str | None,
    gallery_name: str | None,
    unique_name: str | None,
    public_name: str | None,
) -> str:
    """The name of a definition, private or as a view shows it, by which options are given.

    Raises:
        UsageProblem: they name no gallery, or several.
    """
    if _is_full(definition_id):
        return definition_id
    if unique_name or public_name:
        if not location:
            raise UsageProblem("In which region?", todo="Say --location REGION")
        parent = view(given, location, unique_name=unique_name, public_name=public_name)
        return f"{parent}/images/{definition_id}"
    if not (resource_group and gallery_name):
        raise UsageProblem(
            "Which gallery?",
            todo="Say -g and -r, or --gallery-unique-name, or --public-gallery-name",
        )
    return definition(given, resource_group, gallery_name, definition_id)


def column(parent: str) -> Column:
    """The column of the name in a list below `parent`, which may hold `-`.

    Rows are told apart by it: where they have several parents, it has what follows the part of
    the name that is common to all.
    """
    segments = parent.split("/")
    if _ALL not in segments:
        return Column("Name", _last)
    fixed = segments.index(_ALL) - 1

    def read(record: Record) -> str:
        return "/".join(str(record.get("name", "")).split("/")[fixed:])

    return Column("Name", read)


def everywhere(subscription_given: str | None, resource_group: str) -> str:
    """The parent of a list of all that the caller may see, where nothing narrows it.

    Only here does a subscription that is not said mean all of them.
    """
    if resource_group == _ALL and subscription_given is None:
        return "subscriptions/-/resourceGroups/-"
    return group(subscription_given, resource_group)


def _last(record: Record) -> str:
    return str(record.get("name", "")).rpartition("/")[2]


def _is_full(name: str) -> bool:
    return name.startswith(_FULL)
