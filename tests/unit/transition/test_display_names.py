"""Display names: read, kept, restored."""

from chainperp.chain.decode import decode_action
from chainperp.chain.engine import Engine
from chainperp.chain.genesis import parse_genesis
from chainperp.model.actions import SetDisplayName
from chainperp.model.decisions import Kind
from tests.support.world import RULES, World, address_of


def test_a_name_is_shown_until_it_is_taken_away_also_after_a_restore() -> None:
    """The state answers the query; the log has every change."""
    action = decode_action({"type": "setDisplayName", "displayName": "Ann"}, 1)
    assert isinstance(action, SetDisplayName)
    world = World({"snapshot_interval": 1})
    world.fund(ann="10")
    (record,) = world.act("ann", action).of(Kind.DISPLAY_NAME)
    assert (record["account"], record["name"]) == (address_of("ann"), b"Ann")
    engine = Engine(parse_genesis(world.engine.genesis.raw), RULES)
    engine.restore(world.engine.snapshot(), world.blocks[-1].entries[-1])
    assert engine.state.display_names == {address_of("ann"): "Ann"}
    world.act("ann", SetDisplayName(""))
    assert engine.execute(world.inputs[-1]).entries == world.blocks[-1].entries
    assert not engine.state.display_names
