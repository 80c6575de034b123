"""What a job changed: packed at the site, brought home, landed and merged."""

from offload.outputs.baseline import Baseline
from offload.outputs.changes import Change, Changes, LeftOut, What
from offload.outputs.collecting import PACK, Pack, collect, read
from offload.outputs.errors import InTheWayError, OutputsError, PackError
from offload.outputs.fetching import Download, fetch
from offload.outputs.finding import Area
from offload.outputs.landing import Landed, land
from offload.outputs.merging import merge
from offload.outputs.prior import Prior
from offload.outputs.report import Item, Outcome, Report
from offload.outputs.states import State

__all__ = [
    "PACK",
    "Area",
    "Baseline",
    "Change",
    "Changes",
    "Download",
    "InTheWayError",
    "Item",
    "Landed",
    "LeftOut",
    "Outcome",
    "OutputsError",
    "Pack",
    "PackError",
    "Prior",
    "Report",
    "State",
    "What",
    "collect",
    "fetch",
    "land",
    "merge",
    "read",
]
