"""Doing the next items' slow preparation in threads while the present ones are worked on, with a bound on how much lies ready."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["ahead", "in_groups"]

T = TypeVar("T")
R = TypeVar("R")


def ahead(function: Callable[[T], R], items: Iterable[T], threads: int, room: int) -> Iterator[R]:
    """`function(item)` for each item, in order. At most `room` results are begun or lie ready beside the one handed out.

    An exception of `function` is raised where its result would have come. Work that was begun is waited for when the iterator is closed.
    """
    source = iter(items)
    with ThreadPoolExecutor(max(1, threads)) as pool:
        waiting: deque[Future[R]] = deque(pool.submit(function, item) for item in islice(source, max(1, room)))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(source, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()


def in_groups(items: Iterable[T], size: Callable[[], int]) -> Iterator[list[T]]:
    """Lists of `size()` items, the last one perhaps shorter; `size` is asked anew for each."""
    source = iter(items)
    while group := list(islice(source, max(1, size()))):
        yield group
