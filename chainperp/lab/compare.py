"""One shock under several policies as one table."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from chainperp.lab.cases import find_case
from chainperp.lab.outcome import Table
from chainperp.lab.refusals import refuse
from chainperp.lab.scenario import ShockFile, find_scenario, read_scenario
from chainperp.lab.shock import bills, table_of


def compared(
    text: str,
    policies: list[str] | None = None,
    exempt: int | None = None,
    jobs: int = 1,
    step: Callable[[str], None] | None = None,
) -> Table:
    """One row per policy. Raises BadRequest for a scenario that is no shock."""
    path = find_scenario(text)
    scenario = read_scenario(path)
    if not isinstance(scenario, ShockFile):
        refuse(path.name, f"is the study {scenario.study}, only shocks can be compared by policy")
    if policies is not None:
        for name in policies:
            find_case("--policies", name)
        scenario = scenario.model_copy(update={"policies": policies})
    if exempt is not None:
        scenario = scenario.model_copy(update={"exempt_top": exempt})
    if jobs == 1:
        found = bills(scenario, None, step)
    else:
        with ProcessPoolExecutor(jobs) as pool:
            found = bills(scenario, pool, step)
    return table_of(found, scenario.measure.report)
