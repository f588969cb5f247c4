"""`python -m services.catalog`."""

import sys

from services.catalog.bootstrap.program import program
from services.kernel.program import main

if __name__ == "__main__":
    sys.exit(main("services.catalog", program))
