"""The service: scheduler, leases, journal, clock and proposals put together; knows no Pyro5, processes or terminals."""
