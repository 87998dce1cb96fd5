"""A model as one record, and its networks as functions of arrays.

It may import `partway.engines`, `partway.pictures`, `partway.settings` and below.
Start with `package`, the record, which `files` and `configs` read; `networks` is the only place that knows tensor
names; `guides` puts networks beside them that guide a run by pictures, which `guiding` evaluates; `opening` finds a
model, with `hub` (`addresses`, `wanted`) and `catalog`, and opens it.
"""
