"""The user's side: the base class of objectives, and the processes that run them."""
