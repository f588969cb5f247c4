"""The catalog does what an independent model of its specification does.

STOA_MODEL_STEPS is the number of steps on each database, STOA_MODEL_SEED where the random
sequences begin: the same seed gives the same sequences. A failure prints its sequence, every
request with what the model expects; STOA_MODEL_SHRINK=1 looks for a shorter one first.
"""

import itertools
import math
import os

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.wire.catalog.model.machine import CatalogMachine
from tests.wire.catalog.model.service import Service

_STEPS = int(os.environ.get("STOA_MODEL_STEPS", "600"))
_SEED = int(os.environ.get("STOA_MODEL_SEED", "20"))
_SHRINK = os.environ.get("STOA_MODEL_SHRINK", "") == "1"
_STEPS_PER_RUN = 50


@pytest.mark.timeout(120 + _STEPS + 3600 * _SHRINK)
def test_the_catalog_agrees_with_the_model(service: Service) -> None:
    CatalogMachine.service = service
    CatalogMachine.steps = 0
    # A run may be shorter than it might be: some more follow until the steps are done.
    for number in itertools.count():
        missing = _STEPS - CatalogMachine.steps
        if missing <= 0:
            break
        run_state_machine_as_test(
            seed(_SEED + number)(CatalogMachine),
            settings=settings(
                max_examples=math.ceil(missing / _STEPS_PER_RUN),
                stateful_step_count=_STEPS_PER_RUN,
                deadline=None,
                database=None,
                print_blob=False,
                report_multiple_bugs=False,
                phases=(Phase.generate, Phase.shrink) if _SHRINK else (Phase.generate,),
                suppress_health_check=list(HealthCheck),
            ),
        )
