"""An adaptive Dask cluster of up to three workers: prints its address, then how many there are, when it changes."""

import time

from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        cluster.adapt(minimum=0, maximum=3, interval="200ms", wait_count=3)
        before = None
        while True:
            if (number := len(cluster.scheduler.workers)) != before:
                before = number
                print(number, flush=True)
            time.sleep(0.05)
