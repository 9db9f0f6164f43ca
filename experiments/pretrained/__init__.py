"""The small models that come with minigrid, and how they were made."""
