"""The form of `results.parquet`, and how it is read back; `results` writes it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from polytask.errors import PolytaskError

TEXT_COLUMNS = ("run", "arm", "sharing", "balance", "preset")
RESULTS_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in TEXT_COLUMNS),
        *((name, pa.int32()) for name in ("fold", "seed")),
        *((name, pa.string()) for name in ("task", "kind", "subject", "visit", "name")),
        ("value", pa.float64()),
        ("n", pa.int64()),
    ]
)
"""Columns in long form. `kind` is `metric` (of the run on the held-out part, with `n` known items), `case` (answer,
truth or metric of one subject and visit) or `cost` (of the run). A value that is undefined or unknown is null."""


def read_results(path: Path) -> pa.Table:
    """Read the table that `ResultsWriter` wrote."""
    try:
        return pq.read_table(path, schema=RESULTS_SCHEMA)
    except (OSError, pa.ArrowException) as error:
        raise PolytaskError(
            f"{path}: cannot be read ({str(error).splitlines()[0]}); run the study's command again, which makes it "
            "anew from the run folders"
        ) from None
