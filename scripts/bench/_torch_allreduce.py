"""One of two gloo processes: reads "size repeats" lines, answers with the milliseconds of each."""

import sys
import time

import torch
import torch.distributed as dist

rank, port = int(sys.argv[1]), int(sys.argv[2])
store = dist.TCPStore("127.0.0.1", port, 2, is_master=rank == 0, wait_for_workers=False)
print(store.port, flush=True) if rank == 0 else None
dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
for line in sys.stdin:
    size, repeats = map(int, line.split())
    tensor = torch.ones(size)
    dist.all_reduce(tensor)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        dist.all_reduce(tensor)
        times.append(f"{1e3 * (time.perf_counter() - start):.4f}")
    print(" ".join(times), flush=True)
dist.destroy_process_group()
