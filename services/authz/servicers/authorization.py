"""AuthorizationService: who may do what."""

from services.authz.servicers.accessible import AccessibleLists
from services.authz.servicers.explaining import Explanations
from services.authz.servicers.questions import Decisions
from services.authz.servicers.subjects import SubjectLists


class AuthorizationServicer(Decisions, Explanations, AccessibleLists, SubjectLists):
    """One service of the contract; its methods lie by subject in several modules."""
