"""Models that ship with partway, and how they are made."""
