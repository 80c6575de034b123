"""dask-gateway for a facility: per-user Dask clusters as local processes."""
