"""Jobs of a person: recorded durably, and carried by an agent from frozen to merged.

* :mod:`.submission` hands a job over, :mod:`.queries` says how it is;
* :mod:`.ledger` is the durable record that both, and the agent, work on.
"""
