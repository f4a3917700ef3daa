"""What the output of every volume must hold: `spec.output.expect`."""

from typing import Annotated

from pydantic import AfterValidator, Field

from bec_operator.api.base import rule, validations
from bec_ops.contract.patterns import (
    MAX_PATTERN_CHARACTERS,
    MAX_PATTERN_PARTS,
    MAX_PATTERNS,
    PATTERN_EXAMPLE,
    check_patterns,
)

_Pattern = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_PATTERN_CHARACTERS,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]*$",
        json_schema_extra=validations(
            rule(
                "self.split('/').all(part, !(part in ['', '.', '..']))",
                "a pattern is a path under the output: it begins and ends without '/' and has no "
                f"'//', '.' or '..'; {PATTERN_EXAMPLE}",
            ),
            rule(
                f"self.split('/').size() <= {MAX_PATTERN_PARTS}",
                f"a pattern has at most {MAX_PATTERN_PARTS} parts; ** is any number of folders",
            ),
            rule(
                "self != 'success.json' && !self.startsWith('_logs/')",
                f"the marker and logs are no artefacts; {PATTERN_EXAMPLE}",
            ),
        ),
    ),
]

Expect = Annotated[
    tuple[_Pattern, ...],
    Field(
        max_length=MAX_PATTERNS,
        description="Patterns, each of which some artefact must match, else it is no success",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    ),
    AfterValidator(check_patterns),
]
