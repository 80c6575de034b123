"""Leave out what hub and notebook servers import and never use.

``jsonschema`` tries to import ``rfc3987_syntax`` for its ``iri`` format and does
without if it cannot. The import compiles a grammar, which takes 0.7 s of the 3.5 s in
which a hub or a server starts; no schema of Jupyter's has a field of that format.
"""

from __future__ import annotations

import sys

sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
