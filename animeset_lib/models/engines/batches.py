"""Pictures through a network in batches: prepared in threads while the network runs, and in halves where memory is short."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from animeset_lib.errors import ModelError
from animeset_lib.models.engines.device import free_memory, is_out_of_memory
from animeset_lib.prefetch import ahead, in_groups

__all__ = ["Batches", "unit_vectors"]

T = TypeVar("T")
_LOG = logging.getLogger("animeset")
_PREPARING_THREADS = 4
"""So few keep what lies ready small; a network of real size takes longer than preparing its pictures."""


class Batches:
    """Belongs to one network and remembers what fits.

    name   the model's, for messages
    size   pictures per batch to begin with; halved when memory runs out, and kept so
    """

    def __init__(self, name: str, size: int, threads: int) -> None:
        self.size = max(1, size)
        self._name = name
        self._threads = min(max(1, threads), _PREPARING_THREADS)

    def run(
        self,
        items: Sequence[T],
        prepare: Callable[[T], npt.NDArray[Any]],
        network: Callable[[npt.NDArray[Any]], npt.NDArray[Any]],
    ) -> Iterator[npt.NDArray[Any]]:
        """The network's answer for each item, in order; what is done with one happens while later items are prepared.

        `prepare` makes an array of one shape for all, in threads, at most two batches ahead. `network` takes them stacked, `(N, ...)`, and
        answers `(N, ...)`. Raises `ModelError` when not even one picture fits into memory or the answer is not one per picture.
        """
        prepared = ahead(prepare, items, self._threads, room=2 * self.size)
        for group in in_groups(prepared, lambda: self.size):
            yield from self._answers(np.stack(group), network)

    def _answers(
        self, batch: npt.NDArray[Any], network: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
    ) -> list[npt.NDArray[Any]]:
        try:
            answer = network(batch)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise ModelError(
                    f"{self._name} does not fit into memory even with one picture at a time ({error}); "
                    "close other programs, use --device cpu, or choose a smaller model"
                ) from error
        else:
            if len(answer) != len(batch):
                raise ModelError(
                    f"{self._name} answered {answer.shape} for {len(batch)} pictures, expected one answer each"
                )
            return list(answer)
        # outside the except clause: the error's traceback holds on to what filled the memory
        free_memory()
        half = len(batch) // 2
        if half < self.size:
            _LOG.warning(
                "%s: memory ran out with %d pictures at a time; going on with %d", self._name, len(batch), half
            )
            self.size = half
        return self._answers(batch[:half], network) + self._answers(batch[half:], network)


def unit_vectors(answers: Iterable[npt.NDArray[np.float32]], dim: int) -> npt.NDArray[np.float32]:
    """`(dim,)` each → `(N, dim)` float32, rows of length 1."""
    vectors = np.array(list(answers), np.float32).reshape(-1, dim)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12), np.float32)
