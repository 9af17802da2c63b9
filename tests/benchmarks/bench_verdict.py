"""How fast a pilot is judged, beside plain grouped quantiles of both sides' calls in the same run.

The model is that of `bench_metrics`, every second copy another cohort. The environment sets SPANS,
CALLS and ROUNDS, of which the quickest counts. The verdict is everything `orchrisk compare` and
`orchrisk check` say: the comparison, the gates, and what each boundary answers for.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import bench_metrics
import duckdb

from analysis import engine, pilot, risk
from analysis.scope import Scope

MOST_RATIO = 12.0
FLOOR = """
    SELECT
        cohort,
        boundary_id,
        quantile_disc(client_ms, [0.5, 0.95, 0.99])
    FROM calls
    GROUP BY
        cohort,
        boundary_id
"""


def main() -> None:
    """Measure, and print one table."""
    lake = bench_metrics._model()
    told = subprocess.run(
        [sys.executable, __file__, str(lake)], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    found = json.loads(told)
    lines = [
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"DuckDB {duckdb.__version__}; {found['calls']:,.0f} calls",
        "",
        "| | s | floors | peak MB |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name in ("comparison", "verdict"):
        figures = found[name]
        lines.append(
            f"| {name} | {figures['wall']:.2f} | {figures['wall'] / figures['floor_wall']:.1f} | "
            f"{figures['peak'] / 1e6:,.0f} |"
        )
    floor_s = min(found[name]["floor_wall"] for name in ("comparison", "verdict"))
    lines.append(f"| floor | {floor_s:.2f} | 1 | |")
    lines.append(f"\nThe verdict takes at most {MOST_RATIO:g} floors.")
    print("\n".join(lines))  # noqa: T201


def judge(lake: Path) -> dict[str, object]:
    """Measure the floor, the comparison alone, and the whole verdict."""
    with engine.connect(lake, cache=bench_metrics.BUILD) as model, model.relations() as cursor:
        (calls,) = cursor.execute("SELECT count(*) FROM calls").fetchall()[0]

        def floor() -> object:
            return cursor.execute(FLOOR).fetchall()

        return {
            "calls": calls,
            # As the commands do, each asks a question once.
            "comparison": bench_metrics._beside(
                floor, lambda: pilot.compare(model.once(), None, Scope())
            ),
            "verdict": bench_metrics._beside(
                floor, lambda: risk.readiness(model.once(), None, Scope(cohort="pilot"))
            ),
        }


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        print(json.dumps(judge(Path(sys.argv[1]))))  # noqa: T201
