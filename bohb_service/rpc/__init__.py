"""The wire: the only package that imports Pyro5.

`messages` says what is said, `wire` how it is written, `transport` carries it, `server` and `client` are the two
ends, `name_server` is how workers find the master.
"""
