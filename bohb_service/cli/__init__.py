"""The commands `bohb-master` and `bohb-worker`. Heavy imports happen inside the commands that need them."""
