"""What is published by a run is tested with the toy pipeline."""

from tests.run.conftest import toy_run

__all__ = ["toy_run"]
