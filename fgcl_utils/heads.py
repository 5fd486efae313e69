"""Heads on frozen features: the methods of the study, in seconds and without images.

Features may come from any network. A head is trained on them with the study's losses; it is a
scikit-learn transformer from features to embeddings::

    head = HeadTransformer(method="hcl_blocks").fit(features, labels)   # (N, F), (N, L)
    embedding = head.transform(new_features)                            # (M, D), rows of length 1

Features are standardised. Two copies of each with other dropout take the place of two views, and
the epoch with the best validation accuracy counts.
"""

import copy
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn
from tqdm import tqdm

from fgcl_utils import methods, metrics
from fgcl_utils.methods import METHODS
from fgcl_utils.models import projection_head
from fgcl_utils.sampling import HierarchicalBatchSampler

ROWS = 8192  # features embedded at once
WARMUP_STEPS = 10


def fit_head(features, labels, *, validation=None, progress=False, **options):
    """A `HeadTransformer` with `options`, fitted: see there for what everything is."""
    return HeadTransformer(**options).fit(
        features, labels, validation=validation, progress=progress
    )


class HeadTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Projection head on frozen features, trained by one of the study's methods.

    Parameters
    ----------
    method : str
        One of `fgcl_utils.methods.METHODS`. `ce` leaves the features as they are; every other one
        trains the head, CE's controls with their classifiers on top of it.
    head : {"mlp", "linear", "none"}
    projection_dim : int
        Length D of the embedding.
    epochs : int
        At most; see `patience`.
    batch_size : int or None
        Rows a step; None takes all of them.
    learning_rate, weight_decay : float
        AdamW's; the rate is the peak of a short warm-up and a cosine.
    dropout : float
        Share of the features that each of the two copies of a row loses, [0, 1).
    noise : float
        Standard deviation of what is added to each copy, in those of the features.
    patience : int
        Epochs without a better validation accuracy after which training ends.
    validation_fraction : float
        Share of the rows to validate with, where `fit` is given no others; 0 for none.
    temperature, ce_weight, soft_weight, normalization, level_weights, block_dims, temperatures
        Of the losses, as in `fgcl_utils.settings.Settings`.
    random_state : int
        Of initial weights, batches, dropout and noise. On one thread the result is bit-identical.

    Attributes
    ----------
    classes_ : list of arrays
        The labels of each level, finest first; their positions are the codes.
    history_ : DataFrame
        A row an epoch: train_loss, val_accuracy (mean of the levels' nearest-centroid accuracies).
    shares_ : tuple of float or None
        hcl_blocks: what each level counts for in the embedding, see `metrics.choose_shares`.
    n_features_in_ : int
    """

    def __init__(
        self,
        method="hcl_blocks",
        *,
        head="mlp",
        projection_dim=128,
        epochs=60,
        batch_size=512,
        learning_rate=2e-3,
        weight_decay=0.05,
        dropout=0.2,
        noise=0.0,
        patience=10,
        validation_fraction=0.1,
        temperature=0.1,
        ce_weight=0.0,
        soft_weight=0.03,
        normalization="pair",
        level_weights=None,
        block_dims=None,
        temperatures=None,
        random_state=0,
    ):
        self.method = method
        self.head = head
        self.projection_dim = projection_dim
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.noise = noise
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.temperature = temperature
        self.ce_weight = ce_weight
        self.soft_weight = soft_weight
        self.normalization = normalization
        self.level_weights = level_weights
        self.block_dims = block_dims
        self.temperatures = temperatures
        self.random_state = random_state

    def fit(self, X, y, *, validation=None, progress=False):
        """Train the head.

        Parameters
        ----------
        X : float array (N, F)
        y : array (N,) or (N, L)
            Labels of any type, nested, finest level first. −1, an empty text or a missing value
            is a label that is not known; it is known at some coarser level.
        validation : pair of such arrays, optional
            Chooses the epoch and the shares of level blocks. Otherwise a part of the rows does,
            stratified by the finest level where its classes have two rows or more.
        progress : bool
            Whether to show a bar.

        Returns
        -------
        HeadTransformer
            Itself.

        Raises
        ------
        ValueError
            If features are not finite, rows do not match, or labels are not nested.
        """
        X, y = validate_data(self, X, y, dtype=np.float32, multi_output=True, ensure_min_samples=2)
        self.classes_, labels = _encoded(y)
        if validation is None:
            train, val = _split(labels, self.validation_fraction, self.random_state)
            parts = X[train], labels[train], X[val], labels[val]
        else:
            val_features, val_labels = validation
            val_features = validate_data(self, val_features, dtype=np.float32, reset=False)
            parts = X, labels, val_features, _codes_of(val_labels, self.classes_)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            self._fit(*parts, progress)
        return self

    def transform(self, X):
        """Embeddings, float32 (N, D), of unit length."""
        vectors = self.outputs(X)["embedding"]
        if self.shares_ is None:
            return vectors
        return metrics.at_shares(vectors, self._block_dims, self.shares_)

    def outputs(self, X):
        """The ``embedding`` (N, D), of level blocks with equal shares, and any ``logits`` (N, ΣC).

        Logits are those of the classifiers, finest level first, float32.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return self._outputs(X)

    def _fit(self, X, labels, val_features, val_labels, progress):
        """Train on codes; what is random here comes from torch's global generator."""
        n_levels = labels.shape[1]
        self._levels = tuple(range(n_levels))
        if METHODS[self.method].needs_levels and n_levels == 1:
            raise ValueError(
                f"method={self.method!r} compares levels, and there is one column of labels: give "
                "labels of shape (N, L), finest level first"
            )
        blocks = self.method == "hcl_blocks"
        self._block_dims = methods.block_dims(self._options()) if blocks else None
        n_classes = [len(names) for names in self.classes_]
        self.network_ = _Network(X, self, self._options(), n_classes)
        loss = methods.loss_for(self._options(), self.method, n_classes)
        batches = _Batches(labels, self.batch_size, self.random_state)
        step = _Step(self.network_, loss, self, self.epochs * len(batches))
        targets, history, best, since_best = torch.from_numpy(labels), [], None, 0
        bar = tqdm(range(self.epochs), desc=self.method, unit="epoch", disable=not progress)
        for epoch in bar:
            self.network_.train()
            losses = [
                step(torch.from_numpy(X[rows]), targets[rows]) for rows in batches.of_epoch(epoch)
            ]
            row = {"epoch": epoch + 1, "train_loss": torch.stack(losses).mean().item()}
            if not math.isfinite(row["train_loss"]):
                raise FloatingPointError(
                    f"the {self.method} loss is {row['train_loss']} in epoch {epoch + 1}: try a "
                    "lower learning_rate or a higher temperature"
                )
            row["val_accuracy"] = self._accuracy(X, labels, val_features, val_labels)
            history.append(row)
            bar.set_postfix(loss=f"{row['train_loss']:.3f}", val=f"{row['val_accuracy']:.3f}")
            if best is None or not row["val_accuracy"] <= best[0]:  # without validation: the last
                best = row["val_accuracy"], copy.deepcopy(self.network_.state_dict())
                since_best = 0
            else:
                since_best += 1
                if since_best >= self.patience:
                    bar.close()
                    break
        self.network_.load_state_dict(best[1])
        self.history_ = pd.DataFrame(history)
        self.shares_ = self._choose_shares(X, labels, val_features, val_labels) if blocks else None

    def _options(self):
        """The parameters as the losses read them."""
        return SimpleNamespace(**self.get_params(), levels=self._levels)

    def _outputs(self, X):
        parts = {}
        self.network_.eval()
        for start in range(0, len(X), ROWS):
            rows = torch.from_numpy(np.ascontiguousarray(X[start : start + ROWS]))
            with torch.inference_mode():
                projections, logits = self.network_(rows)
                vectors = methods.embedding(projections, self._options(), self.method)
            parts.setdefault("embedding", []).append(vectors.numpy())
            if logits is not None:
                parts.setdefault("logits", []).append(logits.numpy())
        return {name: np.concatenate(arrays) for name, arrays in parts.items()}

    def _accuracy(self, X, labels, val_features, val_labels):
        """Mean over levels of the nearest-centroid accuracy on validation rows; NaN without any."""
        if not len(val_features):
            return math.nan
        train, val = (self._outputs(part)["embedding"] for part in (X, val_features))
        right = []
        for of_train, of_val in zip(labels.T, val_labels.T, strict=True):
            known, seen = of_val >= 0, of_train >= 0
            if known.any():
                nearest = metrics.nearest_centroid(train[seen], of_train[seen], val[known])
                right.append((nearest == of_val[known]).mean())
        return float(np.mean(right)) if right else math.nan

    def _choose_shares(self, X, labels, val_features, val_labels):
        ends = np.cumsum(self._block_dims)[:-1]
        train, val = (
            np.split(self._outputs(part)["embedding"], ends, axis=1) if len(part) else None
            for part in (X, val_features)
        )
        levels = [f"level {l}" for l in self._levels]
        return metrics.choose_shares(
            train, labels, val, val_labels if len(val_features) else None, levels=levels
        )[0]


class _Network(nn.Module):
    """Features (N, F) → projections (N, D) and logits (N, ΣC), or None."""

    def __init__(self, X, parameters, options, n_classes):
        super().__init__()
        mean, std = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
        std[std < 1e-6 * np.abs(mean).clip(1e-12)] = 1.0  # a constant says nothing, at any scale
        self.register_buffer("mean", torch.from_numpy(mean.astype(np.float32)))
        self.register_buffer("std", torch.from_numpy(std.astype(np.float32)))
        self.dropout, self.noise = nn.Dropout(parameters.dropout), parameters.noise
        # Of a network that stays as it is, only what is put on top can learn: the controls of CE
        # have their classifiers on the head, and plain CE has none.
        self.as_they_are = parameters.method == "ce"
        kind = "none" if self.as_they_are else parameters.head
        dim = methods.projection_dim(options, parameters.method)
        self.head = projection_head(kind, X.shape[1], dim)
        levels = methods.classified_levels(options, parameters.method)
        width = X.shape[1] if kind == "none" else dim
        n_logits = sum(n_classes[l] for l in levels)
        self.classifier = nn.Linear(width, n_logits) if levels else None

    def forward(self, x):
        z = (x - self.mean) / self.std  # (N, F)
        if self.training:
            z = self.dropout(z + self.noise * torch.randn_like(z) if self.noise else z)
        projections = self.head(z)  # (N, D)
        logits = None if self.classifier is None else self.classifier(projections)
        return x if self.as_they_are else projections, logits


class _Step:
    """One optimizer step after the other, with a short warm-up and a half cosine to zero."""

    def __init__(self, network, loss, parameters, n_steps):
        self.network, self.loss = network, loss
        self.optimizer = torch.optim.AdamW(
            network.parameters(), parameters.learning_rate, weight_decay=parameters.weight_decay
        )

        def rate(step):
            warm = min(1.0, (step + 1) / WARMUP_STEPS)
            return warm * 0.5 * (1 + math.cos(math.pi * step / n_steps))

        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, rate)

    def __call__(self, features, labels):
        """The loss of rows (B, F) with labels (B, L), detached; each counts twice."""
        projections, logits = self.network(features.repeat(2, 1))
        value = self.loss(projections, logits, labels.repeat(2, 1))
        self.optimizer.zero_grad(set_to_none=True)
        value.backward()
        self.optimizer.step()
        self.schedule.step()
        return value.detach()


class _Batches:
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


def _encoded(y):
    """Classes of each level, and codes int64 (N, L) with −1 where a label is not known."""
    columns = np.asarray(y, dtype=object if np.asarray(y).dtype.kind in "OUS" else None)
    columns = columns.reshape(len(columns), -1)
    classes = [np.unique(column[_known(column)]) for column in columns.T]
    return classes, _codes_of(y, classes)


def _codes_of(y, classes):
    y = np.asarray(y)
    columns = y.reshape(len(y), -1)
    codes = [
        pd.Index(names).get_indexer(column)
        for names, column in zip(classes, columns.T, strict=True)
    ]
    return np.column_stack(codes).astype(np.int64)


def _known(column):
    return ~(pd.isna(column) | (column == "") | (column == -1))


def _split(labels, fraction, seed):
    """Rows to train and to validate with, stratified by the finest level as far as possible."""
    rows = np.arange(len(labels))
    n_val = round(fraction * len(labels))
    if n_val < 1:
        return rows, rows[:0]
    _, finest, counts = np.unique(labels[:, 0], return_inverse=True, return_counts=True)
    stratified = counts.min() >= 2 and n_val >= len(counts) <= len(labels) - n_val
    train, val = train_test_split(
        rows, test_size=n_val, random_state=seed, stratify=finest if stratified else None
    )
    return np.sort(train), np.sort(val)
