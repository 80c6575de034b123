"""Which Python environment a person works in: what his job takes along."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from facility.errors import UsageError

_OF_THE_HOST = Path("/usr")


def prefix_in_use(
    environment: Mapping[str, str],
    which: Callable[[str], str | None] = shutil.which,
) -> Path | None:
    """Return the prefix of the environment that a shell has activated.

    The activated virtual or conda environment, else that of the first ``python`` on the
    path. ``None`` if it is the host's own Python: a site brings that itself.
    """
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        prefix = Path(environment.get(name) or "/nonexistent")
        if (prefix / "bin/python").exists():
            return prefix
    found = which("python") or which("python3")
    return None if found is None else prefix_of(Path(found))


def prefix_of(python: Path) -> Path | None:
    """Return the prefix of an interpreter; ``None`` for the host's own.

    Raises:
        UsageError: it does not run.
    """
    prefix = python.parent.parent
    # Not resolved: the python of a virtual environment is a link to its base.
    if (prefix / "pyvenv.cfg").exists() or (prefix / "conda-meta").is_dir():
        return prefix
    base = python.resolve().parent.parent
    if not (base / "bin/python3").exists():  # a script that chooses one, as pyenv has
        base = _asked(python)
    return None if base.is_relative_to(_OF_THE_HOST) else base


def _asked(python: Path) -> Path:
    """Have an interpreter say where it is.

    Raises:
        UsageError: it does not run.
    """
    import subprocess

    words = [str(python), "-I", "-c", "import sys; print(sys.prefix)"]
    try:
        answer = subprocess.run(
            words, capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError) as error:
        why = " ".join(str(error).split())
        raise UsageError(f"{python} does not run: {why}") from None
    return Path(answer.stdout.strip())


def prefix_of_notebook(notebook: Path, in_use: Path | None) -> Path | None:
    """Return the prefix of the environment whose kernel a notebook names.

    Args:
        notebook: a notebook file.
        in_use: the environment in use, which has the kernel called ``python3``.

    Raises:
        UsageError: it is no notebook, or no kernel of that name is installed.
    """
    name = _kernel_name(notebook)
    if name == "python3":
        return in_use
    folders = _kernel_folders(in_use)
    for folder in folders:
        description = folder / name / "kernel.json"
        if description.is_file():
            return prefix_of(Path(json.loads(description.read_text())["argv"][0]))
    raise UsageError(
        f"{notebook}: its kernel {name!r} is not installed here: choose another one in "
        "JupyterLab, or install it (`python -m ipykernel install --user --name NAME`)"
    )


def check_notebooks_run(prefix: Path | None, notebook: Path) -> None:
    """Raise unless the environment can execute notebooks.

    Raises:
        UsageError: it has no nbclient or no ipykernel.
    """
    where = _OF_THE_HOST if prefix is None else prefix
    for package in ("nbclient", "ipykernel"):
        roots = ("lib/python3*/site-packages", "lib/python3/dist-packages")
        if not any(list(where.glob(f"{root}/{package}")) for root in roots):
            raise UsageError(
                f"{notebook}: the environment {where} has no {package}, which executes "
                f"notebooks: `{where}/bin/python -m pip install nbclient ipykernel`"
            )


def _kernel_name(notebook: Path) -> str:
    try:
        content = json.loads(notebook.read_text())
        cells, metadata = content["cells"], content["metadata"]
    except OSError as error:
        raise UsageError(
            f"{notebook.name}: expected a notebook in {notebook.parent}, got: "
            f"{error.strerror}"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"{notebook}: expected a notebook (nbformat 4), got something else"
        ) from None
    if not isinstance(cells, list) or not isinstance(metadata, dict):
        raise UsageError(f"{notebook}: expected a notebook (nbformat 4)")
    return str(metadata.get("kernelspec", {}).get("name", "python3"))


def _kernel_folders(in_use: Path | None) -> list[Path]:
    """Where Jupyter looks for kernels (jupyter_core, ``jupyter_path``)."""
    data = os.environ.get("JUPYTER_DATA_DIR")
    home = Path(data) if data else Path("~/.local/share/jupyter").expanduser()
    prefixes = [home, Path("/usr/local/share/jupyter"), Path("/usr/share/jupyter")]
    if in_use is not None:
        prefixes.insert(0, in_use / "share/jupyter")
    return [prefix / "kernels" for prefix in prefixes]
