"""The app's pages. Imported before anything brings torch in, which reads this once, when it is loaded.

A browser, a server and a search share few cores. OpenMP's waiting threads spin by default: with one
other busy process on two cores, a sparsity sweep took six to ten times as long as with threads that sleep.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
