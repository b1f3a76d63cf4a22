from hypothesis import given
from hypothesis import strategies as st

from relay.analysis.post_dominators import OUTSIDE, immediate_post_dominators


@st.composite
def graphs(draw):
    """Edges of a random directed acyclic graph with weights."""
    size = draw(st.integers(1, 12))
    edges = []
    for node in range(size):
        targets = [*range(node + 1, size), OUTSIDE]
        pairs = st.tuples(st.sampled_from(targets), st.integers(0, 8))
        edges.append(draw(st.lists(pairs, min_size=1, max_size=3)))
    return edges


def paths(edges, node):
    """Every path from `node` to the outside, as its nodes and the weights of its edges."""
    if node == OUTSIDE:
        return [([], [])]
    return [
        ([target, *rest], [weight, *weights])
        for target, weight in edges[node]
        for rest, weights in paths(edges, target)
    ]


@given(graphs())
def test_agrees_with_the_definition(edges):
    found = immediate_post_dominators(edges)
    for node in range(len(edges)):
        every = paths(edges, node)
        common = set.intersection(*(set(nodes) for nodes, _ in every))
        nearest = next(n for n in every[0][0] if n in common)
        largest = max(max(ws[: ns.index(nearest) + 1]) for ns, ws in every)
        assert (found[node].node, found[node].weight) == (nearest, largest)


def test_unused_nodes_have_no_post_dominator_inside():
    assert immediate_post_dominators([[], [(OUTSIDE, 3)]])[0].node == OUTSIDE
