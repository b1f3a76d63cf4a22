"""Text found in a vocabulary."""

from typing import ClassVar

import numpy as np

from relay import dtypes
from relay.ir.op import Array, Pattern, expect_tensor, operator
from relay.ir.types import TensorType, Type
from relay.op.host import ON_HOST, HostOperator
from relay.support.errors import TypeInferenceError


@operator("ml.find_text", inputs=("data", "words"), pattern=Pattern.OPAQUE, level=10)
class FindText(HostOperator):
    """Where each element of `data` first is in the vector `words`, or -1; ``int64``."""

    missing: ClassVar[dict[str, str]] = {
        "compute": ON_HOST,
        "gradient": "there are no small changes of text",
    }

    def infer(self, data: Type, words: Type) -> Type:
        found = expect_tensor(self.name, "data", data)
        known = expect_tensor(self.name, "words", words)
        if found.dtype != dtypes.STRING or known.dtype != dtypes.STRING or len(known.shape) != 1:
            raise TypeInferenceError(
                f"{self.name}: expected text and a vector of text, found {found} and {known}"
            )
        return TensorType(found.shape, "int64")

    def reference(self, data: Array, words: Array) -> Array:
        places = dict(zip(reversed(words.tolist()), reversed(range(len(words))), strict=True))
        found = [places.get(text, -1) for text in data.reshape(-1).tolist()]
        return np.array(found, np.int64).reshape(data.shape)
