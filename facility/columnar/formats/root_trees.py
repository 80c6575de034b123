"""Which tree of a ROOT file is meant."""

from __future__ import annotations

from typing import Any

import uproot

from facility.columnar.errors import DatasetError, nearest, one_line
from facility.columnar.remote import Location
from facility.errors import FacilityError

TREE_CLASSES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple", "TChain")


def only_tree(path: Location, file: Any) -> str:
    """Return the name of the one tree, or of the one that has the events.

    Raises:
        DatasetError: there is none, or several.
    """
    names = file.classnames(recursive=True, cycle=False)
    trees = [n for n, kind in names.items() if kind in TREE_CLASSES]
    if len(trees) == 1:
        return str(trees[0])
    if not trees:
        raise DatasetError(f"{path} has no TTree or RNTuple")
    # NanoAOD and its relatives keep the events beside small trees of metadata.
    if "Events" in trees:
        return "Events"
    raise DatasetError(
        f"{path} has {len(trees)} trees, choose one with tree=...: {', '.join(trees)}"
    )


def tree_of(path: Location, file: Any, name: str) -> Any:
    """Return uproot's tree of this name.

    Raises:
        DatasetError: it is not there, is no tree, or cannot be read.
    """
    try:
        found = file[name]
    except uproot.KeyInFileError as error:
        near = nearest(name, file.keys(cycle=False))
        raise DatasetError(
            f"{path} has no tree {name!r}: it has "
            f"{', '.join(near or file.keys(cycle=False)) or 'nothing'}"
        ) from error
    except FacilityError:
        raise
    except Exception as error:  # uproot raises whatever the bytes lead it to
        raise unreadable_tree(path, name, error) from error
    if not hasattr(type(found), "num_entries"):
        raise DatasetError(f"{path}: {name!r} is a {found.classname}, expected a TTree")
    return found


def unreadable_tree(path: Location, name: str, error: Exception) -> DatasetError:
    """Return the error of a tree whose metadata are damaged."""
    return DatasetError(
        f"{path}: tree {name!r} cannot be read ({one_line(error)}): copy the file again"
    )
