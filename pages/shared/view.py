"""What a person is looking at. Knows nothing of Streamlit.

Every choice that changes what is shown is a field of ``View``, so a link (link.py) reproduces the view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.ablation import Ablation
from engine.pruning.cliffs import FIXED_SPARSITY
from engine.pruning.masks import KEEPERS
from engine.settings import ATTRIBUTING, Algorithm, Method, Mode, Score, Settings
from engine.tasks.own import is_own
from engine.trust.draws import MOST, Kind
from engine.views.circuit_filter import Sign

SCORES = (*(score.value for score in Score), "difference")
AMONG = ("auto", "ringed", "all")
ALGORITHMS = tuple(algorithm.value for algorithm in Algorithm)
MODES = tuple(mode.value for mode in (Mode.SCREENED, Mode.EXACT))
INPUTS = ("q", "k", "v", "mlp", "logits")
MAPS = ("both", "one")
MEASURES = ("rank", "score")
COLOURS = ("list", "layer")
ORDERS = ("contrastive_flap", "flap", "difference", "layer")
PAIR_FILTERS = ("all", "wrong")
MOST_PAIRS = 2000  # that any task has, whatever the limit of this server
MAX_SEED = 2**31 - 1
MAX_EDGES = 100_000
SIGNS = tuple(sign.value for sign in Sign)
DRAWN = ("auto", "layers", "heads")
FILLS = ("role", "effect")
ABLATIONS = tuple(kind.value for kind in Ablation)
KEYS = tuple(f"key{number}" for number in range(1, 10))
SUBJECTS = ("run", "file", *KEYS)
COMPARING = ("runs", "searches")
REFERENCES = ("auto", "dense", "circuit", *KEYS)
RUNS_OF = ("all", *(kind.name.lower() for kind in Kind))
RECEIPTS_OF = ("auto", "head", "edge")
MOST_DRAWS = MOST
SHELVES = ("kept", "deleted", "sweeps")
SWEEP_NUMBERS = ("faithfulness", "performance", "heads", "edges", "seconds")
RUN_STATES = ("all", "done", "cancelled", "failed", "incomplete", "running")
RUN_ORDERS = ("newest", "oldest", "name", "heads", "faithfulness", "bytes")


@dataclass(frozen=True)
class View:
    """One state of the app.

    ``sparsity`` is where the slider of the score map stands. ``among`` says which heads a search may use: the
    union chosen automatically, the ringed heads of the map, or all. ``algorithm``, ``mode``, ``grid`` and ``mlps`` are
    those of Settings; what the algorithm has no use for waits, and with the grid the two thresholds do.
    ``head``, ``edge``: selected, or None.
    ``weakest`` and ``inputs`` filter the edges drawn; ``prompt`` and ``hide_first`` belong to the head card.
    On the circuit's own page there are more filters: ``sign``, the ``span`` of layers ("3-9"), ``connected`` to the
    logits, the ``strongest`` edges (0 is all). ``pins`` are heads, ``names`` the reader's own ("9.6~mover"). It is
    ``drawn`` as heads or by layer, but for the layers ``opened``; ``fill`` colours heads by role or effect;
    ``answer_key`` is the number of the one laid over it, 0 while they are hidden.
    ``union`` names the union of masks to search in, empty for the automatic choice.
    On the page of head scores, ``maps`` says how many are drawn, ``versus`` and ``colour`` what the scatter of both
    scores shows; ``find``, ``kept_by``, ``layers`` (``"3-9"`` or empty), ``top`` (0 is all) and ``order`` make its
    list.
    ``flap_sparsity`` is FLAP's own in a merged mask, None where the slider's holds for both. ``trials`` of automatic
    settings are asked for; ``trial`` is the number of the one looked at, None for the one taken.
    ``own``: the page Prompts shows the desk for own tasks. ``pair_filter`` (all, wrong, or a template's number) and
    ``pair_page`` say which pairs it shows else.
    ``subject`` is what the page Verification judges: the run's circuit, a file's, or an answer key by its number,
    with removed heads replaced as ``ablation`` says. ``reference`` is what scores are held against: the dense run, an
    answer key, the circuit itself, or the first of these there is. ``resamples``, ``seeds`` and ``templates`` say how
    often the circuit is found again, ``runs_of`` which of those runs count. What less than the share ``present`` of
    all of them found is left out of the graph. ``receipt_of``: whether the head or the edge gets a receipt.
    ``comparing``: the page Compare shows two runs, or all searches of the task, ``dense_too`` among all heads as well.
    ``step`` of a search counts from 1. ``left`` and ``right`` are the runs compared, by runs.py's short names.
    The page Runs shows a ``shelf``: runs kept, runs deleted, sweeps. ``run_find``, ``run_model``, ``run_task``,
    ``run_state`` and ``run_tag`` say which of the runs (empty: all), ``run_order`` in which order, ``picked`` which are
    selected; ``run`` is the one that is open, ``sweep`` the sweep, of which ``sweep_shows`` one number.
    """

    model: str = Settings.model
    task: str = Settings.task
    pairs: int = Settings.pairs
    seed: int = Settings.seed
    score: str = "contrastive_flap"
    sparsity: float = FIXED_SPARSITY
    flap_sparsity: float | None = None
    among: str = "auto"
    algorithm: str = Settings.algorithm.value
    top_edges: int = Settings.top_edges
    tolerance: float = Settings.tolerance
    mode: str = Settings.mode.value
    grid: bool = False
    threshold_scale: float = Settings.threshold_scale
    min_effect: float = Settings.min_effect
    mlps: bool = False
    head: str | None = None
    edge: str | None = None
    weakest: float = 0.0
    inputs: tuple[str, ...] = INPUTS
    prompt: int = 0
    hide_first: bool = False
    sign: str = "both"
    span: str | None = None
    connected: bool = False
    strongest: int = 0
    pins: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    drawn: str = "auto"
    opened: tuple[str, ...] = ()
    fill: str = "role"
    answer_key: int = 0
    union: str = ""
    maps: str = "both"
    versus: str = "rank"
    colour: str = "list"
    find: str = ""
    kept_by: tuple[str, ...] = KEEPERS
    layers: str = ""
    top: int = 0
    order: str = "contrastive_flap"
    own: bool = False
    pair_filter: str = "all"
    pair_page: int = 1
    subject: str = "run"
    ablation: str = Ablation.MEAN.value
    comparing: str = "runs"
    dense_too: bool = False
    reference: str = "auto"
    resamples: int = 5
    seeds: int = 3
    templates: bool = True
    runs_of: str = "all"
    present: float = 0.0
    receipt_of: str = "auto"
    step: int = 1
    left: str | None = None
    right: str | None = None
    trials: int = 40
    trial: int | None = None
    shelf: str = "kept"
    run_find: str = ""
    run_model: str = ""
    run_task: str = ""
    run_state: str = "all"
    run_tag: str = ""
    run_order: str = "newest"
    picked: tuple[str, ...] = ()
    run: str | None = None
    sweep: str | None = None
    sweep_shows: str = "faithfulness"

    def settings(self) -> Settings:
        """The run this view asks for. Fields that cannot change its result stand at their defaults."""
        ringed, algorithm = self.among == "ringed", Algorithm(self.algorithm)
        patching, attributing = algorithm is Algorithm.PATH_PATCHING, algorithm in ATTRIBUTING
        grid = self.grid and patching
        thresholds = patching and not grid
        return Settings(
            model=self.model,
            task=self.task,
            pairs=self.pairs,
            seed=Settings.seed if is_own(self.task) else self.seed,
            method=Method.DENSE if self.among == "all" else Method.APP,
            sparsity=self.sparsity if ringed else None,
            flap_sparsity=self.own_flap_sparsity if ringed else None,
            score=self.mask_score if ringed else Settings.score,
            union=(self.union or None) if self.among == "auto" else None,
            mode=Settings.mode if attributing else Mode(self.mode),
            algorithm=algorithm,
            top_edges=self.top_edges if attributing else Settings.top_edges,
            tolerance=self.tolerance if algorithm is Algorithm.ACDC else Settings.tolerance,
            grid=grid,
            threshold_scale=self.threshold_scale if thresholds else Settings.threshold_scale,
            min_effect=self.min_effect if thresholds else Settings.min_effect,
            mlps=self.mlps and patching,
        )

    def tuned(self) -> Settings:
        """What automatic settings leave as it is: model, prompts, and how effects are measured."""
        return Settings(
            model=self.model, task=self.task, pairs=self.pairs, seed=Settings.seed if is_own(self.task) else self.seed,
            mode=Mode(self.mode),
        )  # fmt: skip

    @property
    def own_flap_sparsity(self) -> float | None:
        """FLAP's share of the ringed mask, where it has one of its own."""
        return self.flap_sparsity if self.mask_score is Score.MERGED else None

    @property
    def mask_score(self) -> Score:
        """The score whose keep mask is ringed; the map of differences rings Contrastive-FLAP's."""
        return Score.CONTRASTIVE_FLAP if self.score == "difference" else Score(self.score)


def data_fields(settings: Settings) -> dict[str, Any]:
    """The fields of a view that shows the model and prompts of ``settings``."""
    return {
        "model": settings.model, "task": settings.task, "pairs": settings.pairs, "seed": settings.seed,
        "head": None, "edge": None, "prompt": 0,
    }  # fmt: skip


def run_fields(settings: Settings) -> dict[str, Any]:
    """The fields of a view whose ``settings()`` are these, the way back of it; those that do not matter stay out."""
    return data_fields(settings) | search_fields(settings)


def search_fields(settings: Settings) -> dict[str, Any]:
    """Those of them that say how the search is done."""
    changes = _algorithm_fields(settings)
    if settings.method is Method.DENSE:
        return changes | {"among": "all"}
    if settings.sparsity is None:
        return changes | {"among": "auto", "union": settings.union or ""}
    return changes | {
        "among": "ringed", "sparsity": settings.sparsity, "flap_sparsity": settings.flap_sparsity,
        "score": settings.score.value,
    }  # fmt: skip


def _algorithm_fields(settings: Settings) -> dict[str, Any]:
    changes: dict[str, Any] = {"algorithm": settings.algorithm.value}
    if settings.algorithm in ATTRIBUTING:
        return changes | {"top_edges": settings.top_edges}
    changes["mode"] = settings.mode.value
    if settings.algorithm is Algorithm.ACDC:
        return changes | {"tolerance": settings.tolerance}
    changes["mlps"] = settings.mlps
    if settings.grid:
        return changes | {"grid": True}
    return changes | {
        "grid": False, "threshold_scale": settings.threshold_scale, "min_effect": settings.min_effect,
    }  # fmt: skip


DEFAULT = View()
