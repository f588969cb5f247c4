"""AuthorizationService: who may do what."""

from services.authz.servicers.accessible import AccessibleLists
from services.authz.servicers.questions import Decisions


class AuthorizationServicer(Decisions, AccessibleLists):
    """One service of the contract; its methods lie by subject in several modules."""
