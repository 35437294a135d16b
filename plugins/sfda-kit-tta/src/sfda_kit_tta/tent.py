"""TENT: fully test-time adaptation by entropy minimisation.

Paper: Wang, Shelhamer, Liu, Olshausen, Darrell, "Tent: Fully Test-Time Adaptation by Entropy Minimization", ICLR 2021,
https://arxiv.org/abs/2006.10726

Section 3: for each batch x of target images, in a stream,

    predict with statistics of the batch itself, then one step down L = mean_i H(p_i), H(p) = - sum_c p_c log p_c,
    on nothing but the scale gamma and shift beta of the normalisation layers.

TENT is online: each image is answered once, before the step on its own batch. **Transductive** figures are those of
these answers; **held-out** figures are those of the final state, frozen.

Defaults: one pass; Adam at 1e-3 (the paper outside ImageNet, batch 128) or, with ``optimizer: sgd``, Nesterov momentum
0.9 at 2.5e-4 (ImageNet, batch 64); no weight decay. The batch is the run's ``adapt.batch_size``. With ``passes`` above
1 the answers are those of the last pass. Deviations stand in the declaration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from sfda_kit import (
    AdaptedModel,
    Checkpoint,
    EpochState,
    Method,
    Recipe,
    TrainingStage,
    UserError,
    frozen_running_statistics,
    steps_per_epoch,
    train_stage,
)
from sfda_kit_tta.norms import adopt_target_statistics, batch_norms, even_batches
from sfda_kit_tta.online import OnlineAnswers, tell_what_is_scored

if TYPE_CHECKING:
    from sfda_kit import AdaptationContext, Network

Optimizer = Literal["adam", "sgd"]
RATES: dict[str, float] = {"adam": 1e-3, "sgd": 2.5e-4}


class Tent(Method):
    """TENT minimises entropy online over scale and shift (module docstring).

    Options: ``passes`` over the target images (1), ``optimizer`` (adam or sgd), ``lr`` (by optimiser).
    """

    shares_passes: ClassVar[bool] = True
    recipe: ClassVar[Recipe] = Recipe(
        summary="scale and shift of norms, online, by least entropy", paper="https://arxiv.org/abs/2006.10726"
    )

    def __init__(self, passes: int = 1, optimizer: Optimizer = "adam", lr: float | None = None) -> None:
        if passes < 1 or optimizer not in get_args(Optimizer) or (lr is not None and not lr > 0):
            raise UserError(
                f"tent: got passes={passes!r}, optimizer={optimizer!r}, lr={lr!r}; expected passes of at least 1, "
                f"optimizer one of {', '.join(get_args(Optimizer))}, and lr above 0."
            )
        self.passes, self.optimizer = passes, optimizer
        self.lr = RATES[optimizer] if lr is None else lr

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        """Yield one state per pass, with the bank of its online answers."""
        tell_what_is_scored(context, "tent")
        stream = _Stream(self, context)
        done = 0
        for done in train_stage(stream.stage(), Checkpoint(context.checkpoint_dir / "tent.pt"), context.listener):
            yield stream.state(done)
        if not done:  # resumed after the last pass had been saved
            yield stream.state(self.passes)

    def check(self, network: Network) -> None:
        """Raise ``UserError`` when the backbone has no normalisation layer with scale and shift."""
        modulated_layers(network)


class _Stream:
    """A stream holds the target images as they come, and the network that answers and learns."""

    def __init__(self, options: Tent, context: AdaptationContext) -> None:
        self.options, self.context = options, context
        self.model = AdaptedModel(context.input_bridge, context.network)
        self.answers = OnlineAnswers.for_network(context.network, len(context.target))
        self.layers = modulated_layers(context.network)

    def stage(self) -> TrainingStage:
        context = self.context
        return TrainingStage(
            name="tent",
            epochs=self.options.passes,
            steps=steps_per_epoch(len(context.target), context.config.batch_size),
            modules={"network": context.network, "answers": self.answers},
            optimizer=self._optimizer(),
            signals=self._batches,
            terms={"entropy": (1.0, self._answer)},
            lr_factor=lambda _: 1.0,
            seed=context.seed,
            autocast=context.autocast,
            rate="recipe.options.lr",
        )

    def state(self, done: int) -> EpochState:
        """Return what was answered in the pass just made, and the network frozen after it."""
        context = self.context
        adopt_target_statistics(self.model, context.target, context.config.evaluation_batch_size, "tent")
        return EpochState("tent", done, self.options.passes, self.model, self.answers.bank())

    def _optimizer(self) -> torch.optim.Optimizer:
        self.context.network.requires_grad_(False)
        affine = [parameter.requires_grad_(True) for layer in self.layers for parameter in _affine(layer)]
        if self.options.optimizer == "sgd":
            return torch.optim.SGD(affine, lr=self.options.lr, momentum=0.9, nesterov=True)
        return torch.optim.Adam(affine, lr=self.options.lr)

    def _batches(self, epoch: int, generator: torch.Generator) -> Iterable[Tensor]:
        del epoch
        network = self.context.network.eval()
        for layer in batch_norms(network):
            layer.train()
        order = torch.randperm(len(self.context.target), generator=generator)
        yield from even_batches(order, self.context.config.batch_size, "tent")

    def _answer(self, rows: Tensor) -> Tensor:
        """Answer the images of a batch once and for all, and return the entropy to minimise."""
        with frozen_running_statistics(self.context.network):
            output = self.model(self.context.target.batch(rows))
        self.answers.write(rows, output)
        return mean_entropy(output.logits)


def mean_entropy(logits: Tensor) -> Tensor:
    """Return mean_i H(p_i) in nats for logits (B, K); a 0-d tensor."""
    surprise = logits.log_softmax(dim=1)
    return -(surprise.exp() * surprise).sum(dim=1).mean()


def modulated_layers(network: Network) -> list[nn.Module]:
    """Return layers whose scale and shift adapt: BatchNorm, or Layer- and GroupNorm too where the backbone has none.

    The bottleneck's BatchNorm is among them. Raises ``UserError`` when the backbone has no such layer.
    """
    kinds: tuple[type[nn.Module], ...] = (nn.modules.batchnorm._BatchNorm,)
    if not _of_kind(network.backbone, kinds):
        kinds = (*kinds, nn.LayerNorm, nn.GroupNorm)
    if not _of_kind(network.backbone, kinds):
        raise UserError(
            "tent adapts scale and shift of normalisation layers, and this backbone has none (no BatchNorm, "
            "LayerNorm or GroupNorm with weights). Use another backbone (for example resnet10t or convnext_atto), or "
            "the method t3a, which adapts the classifier alone."
        )
    return _of_kind(network, kinds)


def _of_kind(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> list[nn.Module]:
    return [m for m in module.modules() if isinstance(m, kinds) and _affine(m)]


def _affine(layer: nn.Module) -> list[nn.Parameter]:
    found = (getattr(layer, name, None) for name in ("weight", "bias"))
    return [parameter for parameter in found if isinstance(parameter, nn.Parameter)]
