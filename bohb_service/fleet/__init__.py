"""Starts `bohb-worker` processes; queue, leases and journal are the same whoever starts them."""
