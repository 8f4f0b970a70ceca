"""Training that repeats: one thread, and only algorithms that give the same bits each time."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def repeatable() -> Iterator[None]:
    """Inside, torch uses one thread and deterministic algorithms; afterwards what it did before."""
    threads, strict = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(1)
    # Not `use_deterministic_algorithms`: it also loads torch's compiler, at 1.5 s and 100 MiB.
    torch.set_deterministic_debug_mode("error")
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(strict)
