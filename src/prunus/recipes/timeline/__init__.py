"""Who acts when: the timeline of a recipe, known before training."""

from prunus.recipes.timeline import foreign, native
from prunus.recipes.timeline.forecast import Asked, Firing, Forecast, forecast
from prunus.recipes.timeline.planning import plan
from prunus.recipes.timeline.reading import policies_of
from prunus.recipes.timeline.records import Curve, Lane, Timeline

__all__ = [
    "Asked",
    "Curve",
    "Firing",
    "Forecast",
    "Lane",
    "Timeline",
    "forecast",
    "foreign",
    "native",
    "plan",
    "policies_of",
]
