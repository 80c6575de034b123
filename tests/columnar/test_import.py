"""What importing costs."""

import subprocess
import sys


def test_only_what_every_analysis_needs_is_imported():
    script = (
        "import sys; import facility.columnar; "
        "heavy = {'dask', 'distributed', 'matplotlib', 'iminuit', 'numba', "
        "'uproot', 'pyarrow.parquet', 'rich', 'ruamel.yaml', "
        "'facility.columnar.fused.lowering'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
