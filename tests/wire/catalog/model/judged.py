"""Where service and specification differ for now: each switch goes when the service is mended.

Every one of them is a finding, not a rule.
"""

from typing import Final

# Where the definition is not there, an update does not name an end of life that is past among the
# violations, although the request alone shows it (section 3 of the design).
END_OF_LIFE_UNREAD_WHERE_NOTHING_IS: Final = True
