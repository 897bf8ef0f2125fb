"""The operations of a step as a CUDA graph."""

from collections.abc import Callable

import torch

from gan_cli.replay.tape import NotReplayable


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
            NotReplayable: it waits for the device, or does what a graph cannot hold.
        """
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                work()
        except RuntimeError as error:
            raise NotReplayable(str(error).splitlines()[0]) from error
        graph.replay()
        return cls(graph)

    def __str__(self) -> str:
        return "a CUDA graph"

    def replay(self) -> None:
        """Do the work again, on whatever its inputs hold now."""
        self._graph.replay()
