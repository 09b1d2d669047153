"""What every adapter of a port has to keep: subclass, give a fixture, run."""

import pytest

pytest.register_assert_rewrite("s3shunt.testing.contracts.store", "s3shunt.testing.contracts.archive")
