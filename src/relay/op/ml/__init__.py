"""Classical machine learning: ensembles of decision trees, probabilities of classes, vocabularies.

``relay.op.ml.tree_ensemble(data, ...)`` makes a call of `TreeEnsemble`; `relay.op.functions` says
how the functions take their arguments.
"""

from relay.op.functions import function
from relay.op.ml.coupling import CoupleProbabilities
from relay.op.ml.text import FindText
from relay.op.ml.trees import TreeEnsemble

couple_probabilities = function(CoupleProbabilities)
find_text = function(FindText)
tree_ensemble = function(TreeEnsemble)

__all__ = [
    "CoupleProbabilities",
    "FindText",
    "TreeEnsemble",
    "couple_probabilities",
    "find_text",
    "tree_ensemble",
]
