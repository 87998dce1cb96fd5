"""The graphs of networks, written from their configurations: nothing is traced, and no weights are copied.

It imports the ground and `partway.engines.weights`; no engine is loaded, and neither torch nor the package onnx.
Start at ``graph.py``, the language, then read one of the networks beside its class in diffusers: ``unet.py``,
``vae.py``, ``text.py``, ``tiny_vae.py``. ``onnx.py`` writes what comes out, ``parts.py`` takes parts of it.
"""
