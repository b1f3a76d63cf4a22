"""That every operator of the standard can be imported, in every version."""

from onnx import defs, helper

import relay.frontend.onnx  # noqa: F401  (declares the converters)
from relay.frontend.onnx.coverage import missing_operators


def test_every_version_of_every_operator() -> None:
    schemas = [s for s in defs.get_all_schemas_with_history() if not s.deprecated]
    assert len(schemas) > 600
    lacking = [
        missing
        for schema in schemas
        for missing in missing_operators(
            [helper.make_node(schema.name, [], ["y"], domain=schema.domain)],
            {schema.domain: schema.since_version},
            {},
        )
    ]
    assert lacking == []
