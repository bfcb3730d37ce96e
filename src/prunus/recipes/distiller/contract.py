"""What classes in Distiller's files promise: settings that check themselves, and what they do to which weights.

A component is a frozen dataclass whose fields are the arguments in the file. It names parameters as the file writes
them; the loader finds them in the model and hands them back as :class:`Chosen`. What a component finds wrong it yields
as a :class:`Remark`, so that every fault of a file comes in one error. Nothing here knows of policies, callbacks or
masks in force: that is the engine's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from prunus.recipes.building import settings
from prunus.recipes.faults import Place, Report
from prunus.recipes.nodes import Pair
from prunus.select import Target
from prunus.window import Span

Severity = Literal["error", "warning", "notice"]


class Remark(NamedTuple):
    """Something to say about a component, and about which of its words, as the file writes it, if about one.

    An "error" makes the file unusable, a "warning" says that something has no effect, a "notice" that a convention of
    Distiller's is kept or a defect is not repeated.

    >>> Remark("Filters needs 4 dimensions, it has 2", "fc.weight").severity
    'error'
    """

    message: str
    name: str = ""
    severity: Severity = "error"


@dataclass(frozen=True)
class Chosen:
    """The parameters of a component: by the names in the file, in its order, and all others of the model.

    ``rest`` is filled for components that say :attr:`Component.everything`; Distiller's key ``*`` means those.

    >>> Chosen({}).all
    []
    """

    named: Mapping[str, Target]
    rest: Sequence[Target] = ()

    @property
    def all(self) -> list[Target]:
        """Every parameter that the component acts on."""
        return [*self.named.values(), *self.rest]


class Verdict(NamedTuple):
    """What a rule decides about one parameter: the mask (bool, True keeps, the weight's own shape).

    ``scale`` multiplies what is kept during the forward pass; it acts only in policies with ``use_double_copies``,
    which take it back before the update. 1.0 changes nothing.

    >>> Verdict(torch.tensor([True])).scale
    1.0
    """

    mask: Tensor
    scale: float = 1.0


@dataclass(frozen=True)
class Scene:
    """What a rule is told whenever masks are due.

    Parameters: ``epoch`` (absolute, from 0); ``progress`` of the policy's window (1 at its last firing); ``span``, the
    window itself; ``previous``, the policy's masks in force by :attr:`Target.name`; ``weight``, which returns the
    detached values to rank (folded with the following batch norm where the policy says so); ``generator``, seeded and
    saved, for whatever is random; ``minibatch``, None at the begin of an epoch.

    >>> Scene(3, 0.5, Span(0, 7)).previous
    {}
    """

    epoch: int
    progress: float
    span: Span
    previous: Mapping[str, Tensor] = field(default_factory=dict)
    weight: Callable[[Target], Tensor] = lambda target: target.parameter.detach()
    generator: torch.Generator = field(default_factory=torch.Generator)
    minibatch: int | None = None


class Component(ABC):
    """Base of what a file defines under a name: a frozen dataclass whose fields are the arguments.

    ``__post_init__`` raises SettingError for what is wrong whatever the model (the message begins with the argument's
    name, so that the loader can point at it); :meth:`fit` and :meth:`fit_window` say what model and policy refuse.

    >>> @dataclass(frozen=True)
    ... class Nothing(Component):
    ...     weights: tuple[str, ...] = ()
    >>> Nothing().names, Nothing().everything
    ((), False)
    """

    section: ClassVar[str]
    """The section of the file where it belongs."""
    kind: ClassVar[str]
    """The key by which a policy names it."""

    @classmethod
    def read(cls, pairs: Mapping[str, Pair], name: str, place: Place, report: Report) -> Any:
        """Build it from the nodes of a file, ``class`` left out; UNREADABLE once every fault is in the report."""
        return settings(cls, pairs, name, place, report)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters it names, as written, in the file's order and without ``*``."""
        return ()

    @property
    def everything(self) -> bool:
        """Whether it acts on all other parameters too, as Distiller's key ``*`` says."""
        return False

    def fit(self, chosen: Chosen) -> Iterator[Remark]:
        """Yield what is to be said about it on these parameters: wrong shapes, conventions that are kept."""
        yield from ()

    def fit_model(self, chosen: Chosen, model: nn.Module) -> Iterator[Remark]:
        """Yield what is to be said about it in this model, beside its parameters: modules that it lacks."""
        yield from ()

    def fit_window(self, span: Span) -> Iterator[Remark]:
        """Yield what is to be said about it in a policy with this window, for instance that it is too short."""
        yield from ()


class Rule(ABC):
    """A pruner at work in one policy: decides masks, and keeps what a resumed run needs.

    One rule serves one policy, so that nothing is shared by accident between policies of one pruner.

    >>> class Spare(Rule):
    ...     def masks(self, scene):
    ...         return {}
    >>> Spare().state_dict()
    {}
    """

    def begin(self) -> None:
        """Prepare, once before training and once after each resume; must not undo what was resumed."""

    def close(self) -> None:
        """Take hooks off the model, if it put some there."""

    @abstractmethod
    def masks(self, scene: Scene) -> Mapping[str, Verdict]:
        """Return verdicts by :attr:`Target.name`; a parameter that is left out keeps the mask that it has."""

    def state_dict(self) -> dict[str, Any]:
        """Return what must be saved to resume exactly: plain numbers and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""


class Pruner(Component):
    """A class of the section ``pruners``.

    >>> Pruner.section, Pruner.kind, Pruner.needs_gradient
    ('pruners', 'pruner', False)
    """

    section: ClassVar[str] = "pruners"
    kind: ClassVar[str] = "pruner"
    needs_gradient: ClassVar[bool] = False
    """Whether it reads gradients: then its masks wait until those of the mini-batch are there, before the update."""
    gradual: ClassVar[bool] = False
    """Whether it aims at the end of the policy's window, so that a run that stops before misses its goal."""

    @property
    def generator_seed(self) -> int:
        """The seed of :attr:`Scene.generator`; random pruners return a setting of theirs."""
        return 0

    @abstractmethod
    def rule(self, chosen: Chosen, span: Span, model: nn.Module) -> Rule:
        """Return the rule for one policy on these parameters, changing neither."""


class Regularizer(Component):
    """A class of the section ``regularizers``: a penalty, and possibly a threshold.

    >>> Regularizer.section, Regularizer.kind
    ('regularizers', 'regularizer')
    """

    section: ClassVar[str] = "regularizers"
    kind: ClassVar[str] = "regularizer"

    @abstractmethod
    def penalty(self, chosen: Chosen) -> Tensor:
        """Return what is added to the loss, differentiable."""

    def keep(self, chosen: Chosen) -> Mapping[str, Tensor]:
        """Return the masks (bool, True keeps) of its threshold by :attr:`Target.name`, empty without a threshold."""
        return {}

    @property
    def thresholds(self) -> bool:
        """Whether it removes groups after each mini-batch."""
        return False


class Rates(ABC):
    """A learning-rate scheduler at work: sets the rates of an optimizer's groups.

    >>> class Same(Rates):
    ...     def step(self, epoch, metrics):
    ...         pass
    >>> Same().state_dict()
    {}
    """

    def begin(self) -> None:
        """Set the rates of epoch 0, once, when it begins to count; most leave the base rates there."""

    @abstractmethod
    def step(self, epoch: int, metrics: Mapping[str, float] | None) -> None:
        """Set the rates that hold from ``epoch``, as it counts, on; ``metrics`` are those of the epoch before."""

    def state_dict(self) -> dict[str, Any]:
        """Return what must be saved to resume exactly: the base rates, for instance."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""


class LRScheduler(Component):
    """A class of the section ``lr_schedulers``.

    >>> LRScheduler.section, LRScheduler.kind
    ('lr_schedulers', 'lr_scheduler')
    """

    section: ClassVar[str] = "lr_schedulers"
    kind: ClassVar[str] = "lr_scheduler"

    @abstractmethod
    def rates(self, optimizer: torch.optim.Optimizer) -> Rates:
        """Return it at work on an optimizer whose groups hold the base rates now, changing nothing."""

    def offset(self, span: Span) -> int:
        """Return the epoch of the run that counts as 0: the first one in Distiller, wherever the policy begins."""
        return 0

    def fit_optimizer(self, optimizer: torch.optim.Optimizer, span: Span) -> Iterator[Remark]:
        """Yield what is to be said about it on this optimizer, in a policy with this window."""
        yield from ()


class Extension(Component):
    """A class of the section ``extensions``: acts once, at the first mini-batch of each epoch in which it fires.

    >>> Extension.section, Extension.kind
    ('extensions', 'extension')
    """

    section: ClassVar[str] = "extensions"
    kind: ClassVar[str] = "extension"

    @abstractmethod
    def act(self, model: nn.Module, optimizer: torch.optim.Optimizer | None, masks: Mapping[str, Tensor]) -> None:
        """Do it; ``masks`` are those in force by parameter name, True keeps."""
