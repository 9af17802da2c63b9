"""Models over drawn requests, closed when the test is over."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from drawn_pilots import model_in, requests

from analysis.engine import Model


@pytest.fixture
def model_of(tmp_path: Path) -> Iterator[Callable[..., Model]]:
    """Give a function from frames of requests to a model of their relations."""
    opened: list[Model] = []

    def build(*sides: pd.DataFrame, accesses: pd.DataFrame | None = None) -> Model:
        nothing = requests("pilot", first_day=0, days=0, per_day=0)
        frame = pd.concat(sides, ignore_index=True) if sides else nothing
        opened.append(model_in(tmp_path / f"model{len(opened)}.duckdb", frame, accesses))
        return opened[-1]

    yield build
    for model in opened:
        model.close()
