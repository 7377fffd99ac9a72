"""What scripts and commands are built on: a whole study in one call, and ask/tell without any process."""
