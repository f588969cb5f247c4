"""`CheckDeployment`, of private names and of views."""

from typing import Final

from stoa.catalog.v1 import deployment_check_pb2 as pb

from services.catalog.convert import deployment as convert
from services.catalog.convert.views import ViewType, version_name
from services.catalog.domain import names
from services.catalog.domain.deployment import Image, Layout
from services.catalog.ports.calls import Context
from services.catalog.servicers.dependencies import Dependencies
from services.catalog.servicers.mutations import context_of, scope_of
from services.catalog.servicers.reading import judge_anew
from services.catalog.servicers.view_resolution import check_location, find_view, view_of
from services.catalog.usecases import deployment as usecase
from services.catalog.usecases import resolve
from services.kernel.names import Name
from services.kernel.rpc.call import Call


class DeploymentChecks:
    """Answers whether machines would start."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._d: Final = dependencies

    def check(self, request: pb.CheckDeploymentRequest, call: Call) -> pb.CheckDeploymentResponse:
        """Answer what is found of an image; see the contract."""
        command = usecase.CheckDeployment(
            resolve.meant(scope_of(call)),
            request.location,
            convert.decode_deployment(request),
            request.current_image,
        )
        context = context_of(self._d, call)
        named = usecase.authorize_check(command, context)
        if "location" in command.image.ids:
            name, image = self._view(command, context, call)
        else:
            name, image = self._private(command, context, call)
        current = None if named is None else self._current(named, call)
        return convert.encode(usecase.judge(name, image, command.deployment, current))

    def _private(
        self, command: usecase.CheckDeployment, context: Context, call: Call
    ) -> tuple[str, Image]:
        found, region = usecase.find(
            command, context, readers=self._d.readers, regions=self._d.regions
        )
        version = found.version
        judge_anew(self._d, call, version.policy_revision, version.name, action=resolve.READ_ACTION)
        return version.name, Image(
            found.definition, version, found.status, region.confidential, context.clock.now()
        )

    def _view(
        self, command: usecase.CheckDeployment, context: Context, call: Call
    ) -> tuple[str, Image]:
        check_location(command.location, command.image, context)
        context.violations.raise_if_any()
        found = find_view(command.image, self._d, call, with_status=True)
        if found.status is None:
            raise AssertionError("the status of the region was asked for")
        view = view_of(command.image)
        region = self._d.regions.find([found.location])[found.location]
        name = version_name(view, found, names.subscription_of(command.image.text))
        return name, Image(
            found.definition,
            found.version,
            found.status,
            region is not None and region.confidential,
            context.clock.now(),
            is_view=True,
            of_community=view is ViewType.COMMUNITY,
        )

    def _current(self, named: Name, call: Call) -> Layout:
        if "location" in named.ids:
            found = find_view(named, self._d, call)
            definition = found.definition
            return Layout.of(definition.os_type, definition.hyper_v_generation, found.version.disks)
        current = usecase.find_current(named, self._d.readers)
        action = usecase.read_action(named)
        judge_anew(self._d, call, current.policy_revision, named.text, action=action)
        return current.layout
