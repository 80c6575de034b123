"""The branches that a query needs, with the counts of its lists."""

from expert import COLUMNS

BRANCHES = {
    query: [
        *dict.fromkeys(
            f"n{name.partition('_')[0]}" for name in names if name[:3] != "MET"
        ),
        *names,
    ]
    for query, names in COLUMNS.items()
}
