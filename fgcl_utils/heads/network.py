"""What is trained on the features, and how: the network, its batches, its steps."""

import math

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches
from torch import nn

from fgcl_utils import methods
from fgcl_utils.models import classifier_of, projection_head
from fgcl_utils.sampling import HierarchicalBatchSampler

ROWS = 8192  # features that pass at once where nothing is learnt
WARMUP_STEPS = 10
EPOCHS, FEWEST_EPOCHS = 60, 6
ROWS_IN_ALL = 600_000


def epochs_for(n_rows):
    """Epochs that `n_rows` rows want: 60, and from 10,000 rows on what shows 600,000, at least 6.

    What a head learns goes with the steps it makes; a large collection makes enough of them in a
    few epochs (``results/heads_scale.json``).
    """
    return min(EPOCHS, max(FEWEST_EPOCHS, round(ROWS_IN_ALL / n_rows)))


class Network(nn.Module):
    """Features (N, F) → what is embedded (N, D), and logits (N, ΣC) or None.

    Parameters
    ----------
    options : HeadTransformer or the like
        Has its parameters, and `levels`.
    n_features : int
    n_classes : sequence of int
        Of each level.
    """

    def __init__(self, options, n_features, n_classes):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.dropout, self.noise = nn.Dropout(options.dropout), options.noise
        # Of an encoder that stays as it is, only what is put on top can learn: the controls of CE
        # have their classifiers on the head, and plain CE has none.
        self.as_they_are = options.method == "ce"
        kind = "none" if self.as_they_are else options.head
        dim = methods.projection_dim(options, options.method)
        self.head = projection_head(kind, n_features, dim)
        self.width = n_features if kind == "none" else dim
        levels = methods.classified_levels(options, options.method)
        dims = methods.classified_blocks(options, options.method)
        self.classifier = classifier_of(self.width, [n_classes[l] for l in levels], dims)

    def standardise_as(self, features):
        """Let features be shifted and scaled as these (N, F) need it; a constant is not scaled."""
        scaler = StandardScaler()
        for rows in gen_batches(len(features), ROWS):  # its sums are in float64
            scaler.partial_fit(features[rows])
        self.mean.copy_(torch.from_numpy(scaler.mean_))
        self.scale.copy_(torch.from_numpy(scaler.scale_))

    def forward(self, x):
        z = (x - self.mean) / self.scale  # (N, F)
        if self.training:
            z = self.dropout(z + self.noise * torch.randn_like(z) if self.noise else z)
        projections = self.head(z)  # (N, D)
        logits = None if self.classifier is None else self.classifier(projections)
        return x if self.as_they_are else projections, logits


class Step:
    """One optimizer step after the other, with a short warm-up and a half cosine to zero."""

    def __init__(self, network, loss, options, n_steps):
        self.network, self.loss = network, loss
        self.optimizer = torch.optim.AdamW(
            network.parameters(), options.learning_rate, weight_decay=options.weight_decay
        )

        def rate(step):
            warm = min(1.0, (step + 1) / WARMUP_STEPS)
            return warm * 0.5 * (1 + math.cos(math.pi * step / n_steps))

        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, rate)

    @property
    def rate(self):
        return self.schedule.get_last_lr()[0]

    def __call__(self, features, labels):
        """The loss of rows (B, F) with labels (B, L), detached."""
        projections, logits = self.network(features)
        value = self.loss(projections, logits, labels)
        self.optimizer.zero_grad(set_to_none=True)
        value.backward()
        self.optimizer.step()
        self.schedule.step()
        return value.detach()


class Batches:
    """Rows of an epoch's batches: all at once, or as `HierarchicalBatchSampler` deals them."""

    def __init__(self, labels, batch_size, seed):
        self.n_rows, self.sampler = len(labels), None
        if batch_size is not None and batch_size < len(labels):
            self.sampler = HierarchicalBatchSampler(labels, batch_size, seed)

    def __len__(self):
        return 1 if self.sampler is None else len(self.sampler)

    def of_epoch(self, epoch):
        if self.sampler is None:
            return [np.arange(self.n_rows)]
        self.sampler.set_epoch(epoch)
        return self.sampler
