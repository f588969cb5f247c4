"""DirectoryService: tenants and what lies above and beside their resources."""

from services.authz.servicers.principals import Principals
from services.authz.servicers.subscriptions import Subscriptions
from services.authz.servicers.tenants import Tenants


class DirectoryServicer(Tenants, Subscriptions, Principals):
    """One service of the contract; its methods lie by subject in three modules."""
