"""Checkpoints as people hold them: what a file of weights is, and its tensors under diffusers' names.

It imports the ground and `partway.engines.weights`, and knows nothing of graphs; no engine is loaded.
Start at ``opening.py``, then ``single_file.py``, which joins the others: the header is read, tensors are told apart and
renamed, and their names and shapes say what kind of model it is. ``folder.py`` reads what diffusers saves;
``control.py`` and ``ip_adapter.py`` what guides a model by pictures.
"""
