"""Who gets what: ceilings and leases. It grows into the queue."""

from facility.broker.ceilings import Amount, Bound, Refusal, fitting, refusal
from facility.broker.store import Lease, LeaseStore, Limits

__all__ = [
    "Amount",
    "Bound",
    "Lease",
    "LeaseStore",
    "Limits",
    "Refusal",
    "fitting",
    "refusal",
]
