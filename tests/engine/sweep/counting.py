"""Small sweeps, and units done with the toy model and counted."""



from engine.errors import Cancelled, HeadlightError
from engine.executor.executor import LocalExecutor
from engine.executor.perform import Bench
from engine.executor.units import ModelUnit
from engine.progress import Watcher
from engine.sweep.place import SweepPlace
from engine.sweep.run import run_sweep
from engine.sweep.spec import read_spec

SPEC = read_spec(
    "{name: toy, models: [toy-induction], tasks: [induction-random], pairs: 8, seeds: [0, 1], resamples: 1,"
    " methods: {half: {sparsity: 0.5}, dense: {method: dense, mode: exact}}}"
)
SMALL = read_spec(
    "{models: [toy-induction], tasks: [induction-random], pairs: 8, seeds: [0, 1, 2], methods: {half: {sparsity: 0.5}}}"
)


class Counting:
    """Does units with the toy model and remembers which; ``bad`` ones fail, after ``most`` it stops."""

    def __init__(self, model, bad=lambda unit: False, most=10**9):
        self._perform, self.bad, self.most, self.done = Bench(lambda *key: model).perform, bad, most, []

    def __call__(self, unit, watcher):
        if len(self.searches) >= self.most and not isinstance(unit, ModelUnit):
            raise Cancelled
        if self.bad(unit):
            raise HeadlightError("bad on purpose")
        self.done.append(unit)
        return self._perform(unit, watcher)

    @property
    def searches(self):
        return [unit for unit in self.done if not isinstance(unit, ModelUnit)]


def run(spec, perform, folder=None, watcher=None):
    return run_sweep(spec, SweepPlace(spec.id, folder), LocalExecutor(perform), watcher or Watcher())


def states(state):
    return [unit.state.value for unit in state.units]
