"""How the small models that come with minigrid are trained."""
