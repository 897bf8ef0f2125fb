"""The operations of a step as a CUDA graph."""

from collections.abc import Callable

import torch


class CUDAGraph:
    """A graph of whole moves: forward, backward, penalties and optimizers, one launch for all of them.

    Not `torch.cuda.make_graphed_callables`, which captures forward and backward apart and cannot hold a gradient of a
    gradient.
    """

    def __init__(self, graph: torch.cuda.CUDAGraph) -> None:
        self._graph = graph

    @classmethod
    def record(cls, work: Callable[[], None]) -> "CUDAGraph":
        """Capture the work, and do it once: capturing alone does not.

        Raises:
            RuntimeError: it waits for the device, or does what a graph cannot hold.
        """
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        graph.replay()
        return cls(graph)

    def __str__(self) -> str:
        return "a CUDA graph"

    def replay(self) -> None:
        """Do the work again, on whatever its inputs hold now."""
        self._graph.replay()
