"""How far a measurement is: a bar on the terminal, or told to whoever watches, who may also end it."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
# Called with how many are done, and of how many; what it raises ends the measurement.
Watch = Callable[[int, int], None]


def tracked(items: Sequence[T], what: str, unit: str, watch: Watch | None = None, before: int = 0) -> Iterator[T]:
    """Yield `items`, and tell `watch` how many are done; without it a bar on the terminal does. `before` were done already."""
    if watch is None:
        from tqdm import tqdm

        yield from tqdm(items, desc=f"  {what}", unit=f" {unit}", leave=False)
        return
    total = before + len(items)
    for done, item in enumerate(items):
        watch(before + done, total)
        yield item
    watch(total, total)
