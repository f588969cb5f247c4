"""Where service and specification differ for now: each switch goes when the service is mended.

Every one of them is a finding, not a rule.
"""

from typing import Final

# While a region is being removed and the operation of the removal is unfinished, the version says
# SUCCEEDED, although a change is under way (provisioning_state.proto).
REMOVING_IS_NO_CHANGE: Final = True

# An update that only puts the target regions into another order leaves the summary of the
# replication status in the old one (replication_status.proto).
SUMMARY_KEEPS_ITS_ORDER: Final = True

# Where the definition is not there, an update does not name features that are none among the
# violations, although the request alone shows them (section 3 of the design).
FEATURES_UNREAD_WHERE_NOTHING_IS: Final = True
