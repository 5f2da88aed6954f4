"""A process that makes blocks and commits them until it is killed: `writer.py DIRECTORY`.

Block n depends on n only, so a restarted process makes the same blocks again up to the stored
height, compares them with what is stored, and goes on. It prints `torn …`, `ready <height>`, and
after each commit `<height>`.
"""

import sys
from pathlib import Path

from chainperp.storage.store import ChainStore
from tests.simulation.chain import SNAPSHOT_EVERY, step
from tests.support.world import World

PARAMETERS: dict[str, object] = {"snapshot_interval": SNAPSHOT_EVERY}
STEPS_MAX = 3000


def main() -> int:
    world = World(PARAMETERS)
    with ChainStore.open(Path(sys.argv[1])) as store:
        if store.torn is not None:
            print(f"torn {store.torn}", flush=True)
        for stored in store.read_blocks():
            if stored.height:
                step(world, stored.height - 1)
            if stored.entries != world.blocks[stored.height].entries:
                print(f"block {stored.height} is not the one that was made", flush=True)
                return 1
        print(f"ready {store.height}", flush=True)
        if store.height < 0:
            store.commit(world.blocks[0])
            print(0, flush=True)
        for number in range(store.height, STEPS_MAX):
            step(world, number)
            store.commit(world.blocks[-1])
            print(store.height, flush=True)
            if world.engine.is_snapshot_height(store.height):
                store.save_snapshot(store.height, world.engine.snapshot())
    return 0


if __name__ == "__main__":
    sys.exit(main())
