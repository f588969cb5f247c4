"""`python -m services.replication`."""

import sys

from services.kernel.program import main
from services.replication.bootstrap.program import program

if __name__ == "__main__":
    sys.exit(main("services.replication", program))
