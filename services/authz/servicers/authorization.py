"""AuthorizationService: who may do what."""

from services.authz.ports.audit import DecisionStore
from services.authz.servicers.accessible import AccessibleLists
from services.authz.servicers.explaining import Explanations
from services.authz.servicers.questioning import History
from services.authz.servicers.questions import Decisions
from services.authz.servicers.simulating import Simulations
from services.authz.servicers.simulator import Simulator
from services.authz.servicers.subjects import SubjectLists
from services.authz.servicers.writing import Context


class AuthorizationServicer(Decisions, Explanations, AccessibleLists, SubjectLists, Simulations):
    """One service of the contract; its methods lie by subject in several modules."""

    def __init__(
        self,
        context: Context,
        history: History,
        decisions: DecisionStore,
        *,
        simulator: Simulator,
    ) -> None:
        super().__init__(context, history, decisions)
        self._simulator = simulator
