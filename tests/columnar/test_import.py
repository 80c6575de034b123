"""What importing costs."""

import subprocess
import sys


def test_neither_dask_nor_plots_nor_fits_nor_compilers_are_imported():
    script = (
        "import sys; import facility.columnar; "
        "heavy = {'dask', 'distributed', 'matplotlib', 'iminuit', 'numba'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
