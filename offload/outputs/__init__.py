"""What a job changed: packed at the site, brought home, landed and merged."""

from offload.outputs.baseline import Baseline
from offload.outputs.changes import Change, Changes, LeftOut, What
from offload.outputs.collecting import PACK, Pack, collect, read
from offload.outputs.errors import InTheWayError, OutputsError, PackError
from offload.outputs.finding import Area
from offload.outputs.states import State

__all__ = [
    "PACK",
    "Area",
    "Baseline",
    "Change",
    "Changes",
    "InTheWayError",
    "LeftOut",
    "OutputsError",
    "Pack",
    "PackError",
    "State",
    "What",
    "collect",
    "read",
]
