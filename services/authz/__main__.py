"""`python -m services.authz`."""

import sys

from services.authz.bootstrap.program import program
from services.kernel.program import main

if __name__ == "__main__":
    sys.exit(main("services.authz", program))
