"""Adapters: LoRA and its relatives, read from .safetensors files, as changes of a model's weights.

It imports `partway.checkpoints`, what lies below it, and NumPy; it knows nothing of graphs, and loads no engine.
Start at ``changes.py``, which joins the others: ``reading.py`` groups a file's tensors by the layer that they change,
``names.py`` says which layer of a model that is, ``roles.py`` what each tensor is for and which kinds there are,
``shapes.py`` whether they fit the layer, ``formulas.py`` what they add to its weights, ``blocks.py`` how much of that
counts. ``suggestions.py`` knows those that make a model quick. ``embeddings.py`` reads textual inversions,
and ``folders.py`` finds files in folders of either.
"""
