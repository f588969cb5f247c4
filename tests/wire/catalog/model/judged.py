"""Where service and specification differ for now: each switch goes when the service is mended.

Every one of them is a finding, not a rule.
"""

from typing import Final

# Names of definitions and versions repeat how the caller spelled the names above them, not how
# those are stored (section 2 of the design: replies carry the stored spelling).
PARENTS_AS_SENT: Final = True

# Where the resource is not there, an update does not name unknown paths of its mask, an end of life
# that is past and features that are none among the violations, although the request alone shows
# them (section 3 of the design: everything that is wrong, at once).
RULES_UNREAD_WHERE_NOTHING_IS: Final = True

# An update that names `storage_account_type` and leaves it unset is refused as a change, although
# not set means STANDARD_LRS, which is stored (image_version.proto).
UNSET_IS_A_CHANGE: Final = True
