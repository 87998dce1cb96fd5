"""A model as one record, and its networks as functions of arrays.

It may import `partway.engines`, `partway.pictures`, `partway.settings` and below.
Start with `package`, the record; `networks` is the only place that knows tensor names; `hub` and `catalog`
find a model.
"""
