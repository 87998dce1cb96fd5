"""A model as one record, and its networks as functions of arrays.

It may import `partway.engines`, `partway.pictures`, `partway.settings` and below.
Start with `package`, the record, which `files` and `configs` read; `networks` is the only place that knows tensor
names; `control_units` puts ControlNets and adapters beside them, which `control_evaluator` runs; `opening` finds a
model, with `hub` (`addresses`, `wanted`) and `catalog`, and opens it.
"""
