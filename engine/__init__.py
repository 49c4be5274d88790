"""Headlight's engine: attention-head circuits by Accelerated Path Patching.

Every stage is importable on its own and knows nothing of the app. This file imports
nothing, because importing torch and transformer_lens takes seconds.

Data flows one way::

    Task + Model -> activations -> scores -> keep mask -> path patching -> search
                 -> circuit -> verification -> figures, page, file
"""
