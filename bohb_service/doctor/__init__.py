"""Looks at a machine before it is to serve or to work, and says what is wrong and what to do about it."""
