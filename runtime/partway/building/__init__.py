"""The graphs of networks, written from their configurations: nothing is traced, and no weights are copied.

It imports `partway.checkpoints` and `partway.engines.weights`; no engine is loaded, neither torch nor the package onnx.
Start at ``graph.py``, the language, then read one of the networks beside its class in diffusers: ``unet.py``,
``vae.py``, ``text.py``, ``tiny_vae.py``; ``control.py``, ``t2i_adapter.py``, ``ip_adapter.py`` and ``image.py``, which
``control_networks.py`` joins. ``onnx.py`` writes what comes out, ``parts.py`` takes parts of it. ``exported.py``
rewrites graphs that were exported, with ``wire.py`` and ``joined.py``.
"""
