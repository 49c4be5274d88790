"""transformers and transformer_lens import their parts at first use, which must not happen in two threads at once.

Each would find the other's modules half imported, and Python gives up with an ImportError rather than wait for
ever. Whoever may be the first to use such a part holds this lock while it comes.

Reading weights is one of those: transformers changes its own classes meanwhile (no weight is tied, none initialised),
so that a second model read at the same time lacks weights.
"""

from __future__ import annotations

import threading

importing = threading.RLock()
