"""What a call of a kernel has to do: where it comes from, and its arithmetic and traffic."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """The work of one kernel call, whatever schedule carries it out.

    `operators` are the names of the Relay operators in the kernel, `nodes` those of the nodes of
    the model (or the places in a program's text) that they come from. `flops` counts operations on
    elements, a multiply-accumulate for two; `dtype` is the data type of what is multiplied.
    `bytes_read` and `bytes_written` count every element that is needed once.
    """

    operators: tuple[str, ...]
    nodes: tuple[str, ...]
    dtype: str
    flops: int
    bytes_read: int
    bytes_written: int

    @property
    def bytes_moved(self) -> int:
        """Bytes read and written."""
        return self.bytes_read + self.bytes_written
