"""Adapters of the built-in model: two LoRAs, for four steps and for blueprints, and a ControlNet for lines."""
