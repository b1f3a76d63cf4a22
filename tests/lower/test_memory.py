"""One arena: places of blocks that live at one time are apart, and little is wasted."""

from hypothesis import given
from hypothesis import strategies as st

from relay.loop.ir import ALIGNMENT
from relay.lower.memory import Block, lower_bound, plan_memory

KIB = 1024
lifetimes = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda p: (min(p), max(p)))
blocks = st.builds(lambda size, lifetime: Block(size, *lifetime), st.integers(0, 5000), lifetimes)


def check(plan: list[Block]) -> int:
    """No two blocks share a byte at one time; returns the arena's size."""
    offsets, size = plan_memory(plan)
    assert len(offsets) == len(plan)
    assert size >= lower_bound(plan)
    for k, (block, offset) in enumerate(zip(plan, offsets, strict=True)):
        assert offset % ALIGNMENT == 0
        assert offset >= 0
        assert offset + block.size <= size
        for other, place in zip(plan[:k], offsets[:k], strict=True):
            together = block.first <= other.last and other.first <= block.last
            apart = offset + block.size <= place or place + other.size <= offset
            assert apart or not together or 0 in (block.size, other.size)
    return size


@given(st.lists(blocks, max_size=40))
def test_blocks_stay_apart(plan: list[Block]) -> None:
    check(plan)


#: Like a network: each step writes one block, which is read by the next few.
chains = st.lists(st.tuples(st.integers(1, 64), st.integers(1, 3)), min_size=1, max_size=40)


@given(chains)
def test_little_is_wasted(steps: list[tuple[int, int]]) -> None:
    plan = [Block(size * KIB, k, k + last) for k, (size, last) in enumerate(steps)]
    assert check(plan) <= 2 * lower_bound(plan)


def test_a_chain_needs_two_places() -> None:
    plan = [Block(KIB, k, k + 1) for k in range(100)]
    assert check(plan) == 2 * KIB == lower_bound(plan)


def test_the_last_reader_and_the_next_writer_overlap() -> None:
    """A step never writes over what it reads."""
    offsets, size = plan_memory([Block(64, 0, 1), Block(64, 1, 2)])
    assert offsets[0] != offsets[1]
    assert size == 128


def test_a_small_end_grows() -> None:
    offsets, size = plan_memory([Block(64, 0, 0), Block(640, 1, 1)])
    assert (offsets, size) == ([0, 0], 640)


def test_nothing() -> None:
    assert plan_memory([]) == ([], 0)
    assert lower_bound([]) == 0


def test_many_blocks_take_no_time() -> None:
    plan = [Block(64 + k % 7 * 512, k, k + k % 11) for k in range(50_000)]
    offsets, size = plan_memory(plan)
    assert len(offsets) == 50_000
    assert size <= 2 * lower_bound(plan)
