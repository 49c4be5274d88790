"""Headlight's engine: attention-head circuits by Accelerated Path Patching.

Every stage is importable on its own and knows nothing of the app. This file brings in nothing
heavy, because importing torch and transformer_lens takes seconds.

Data flows one way::

    tasks/ + models/ -> activations -> scores/, scoring/ -> pruning/ -> patching/ -> search/
                     -> circuit -> verification, evaluation/, edges/, trust/ -> views/, figures/

``pipeline.discover`` chains the stages. What a run is kept as: record/, capsule/, store/, interchange/. What carries
it: cost/, notes/, jobs/, machine/, serving/, executor/, sweep/.
"""

import os

# OpenMP reads this when torch is loaded. Its waiting threads spin by default: with another busy process
# on two cores that made a sparsity sweep six to ten times slower than threads that sleep.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
