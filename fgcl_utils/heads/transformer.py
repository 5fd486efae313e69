"""A head as a scikit-learn transformer: features in, embeddings out."""

import copy
import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from safetensors import safe_open
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_consistent_length, gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data

from fgcl_utils import methods, metrics
from fgcl_utils.files import written_aside
from fgcl_utils.heads import labels as of_labels
from fgcl_utils.heads.network import ROWS, Batches, Network, Step, epochs_for
from fgcl_utils.methods import METHODS
from fgcl_utils.progress import bar as bar_of

HEADS = ("none", "linear", "mlp")


def fit_head(features, labels, *, validation=None, progress=False, **options):
    """A `HeadTransformer` with `options`, fitted: see there for what everything is."""
    return HeadTransformer(**options).fit(
        features, labels, validation=validation, progress=progress
    )


class HeadTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Projection head on frozen features, trained by one of the study's methods.

    Features are standardised, dropout takes the place of augmentation, and the epoch with the best
    validation accuracy counts. A row is compared with the others of its batch, not with another
    view of itself: a second copy with other dropout doubles the time and was no better on flowers
    and on the synthetic data (validation).

    Parameters
    ----------
    method : str
        One of `fgcl_utils.methods.METHODS`. `ce` leaves the features as they are; every other one
        trains the head, CE's controls with their classifiers on top of it.
    head : {"mlp", "linear", "none"}
        An MLP has one hidden layer, as wide as the features.
    projection_dim : int
        Length D of the embedding.
    epochs : int, optional
        At most; see `patience`. None takes 60, and fewer where there are more than 10,000 rows: as
        many as show the head 600,000, or 6.
    batch_size : int or None
        Rows a step; None takes all of them.
    learning_rate, weight_decay : float
        AdamW's; the rate is the peak of a short warm-up and a cosine.
    dropout : float
        Share of its features that a row loses in training, [0, 1).
    noise : float
        Standard deviation of what is added to each row, in those of the features.
    patience : int
        Epochs without a better validation accuracy after which training ends. Classifiers on a
        head want many: an untrained head is a fair embedding, which they first make worse.
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
        A row an epoch: ``epoch``, ``train_loss``, ``learning_rate``, ``val_accuracy_0`` (of the
        nearest centroid at the finest level), one such column for every level above, and
        ``val_accuracy``, their mean, by which the epoch is chosen (for `ce` the classifier's, since
        its embedding does not change). NaN without validation rows.
    shares_ : tuple of float or None
        Of level blocks: what each level counts for in the embedding, see `metrics.choose_shares`.
    n_features_in_ : int
    """

    def __init__(
        self,
        method="hcl_blocks",
        *,
        head="mlp",
        projection_dim=128,
        epochs=None,
        batch_size=512,
        learning_rate=2e-3,
        weight_decay=0.05,
        dropout=0.2,
        noise=0.0,
        patience=25,
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.two_d_labels = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def fit(self, X, y, *, validation=None, progress=False):
        """Train the head.

        Parameters
        ----------
        X : float array (N, F)
        y : array (N,) or (N, L)
            Labels of any type, nested, finest level first. −1, an empty text or a missing value
            is a label that is not known, which can be at the finer levels only. A row of which
            nothing is known is left out.
        validation : pair of such arrays, optional
            Chooses the epoch and the shares of level blocks. Otherwise a part of the rows does,
            the same share of every class.
        progress : bool
            Whether to show a bar.

        Returns
        -------
        HeadTransformer
            Itself.

        Raises
        ------
        ValueError
            If features are not finite, rows do not match, labels are not nested, or the method
            needs several levels and there is one.
        FloatingPointError
            If the loss is no longer finite.
        """
        X = validate_data(self, X, dtype=np.float32, ensure_min_samples=2)
        columns = of_labels.columns_of(y)
        check_consistent_length(X, *columns)
        self._check_parameters(len(columns))
        self.classes_ = of_labels.classes_of(columns)
        codes = of_labels.codes_of(columns, self.classes_)
        of_labels.check_nested(columns, codes)
        if validation is None:
            is_val = of_labels.validation_rows(codes, self.validation_fraction, self.random_state)
            val = X[is_val], codes[is_val]
            X, codes = (X[~is_val], codes[~is_val]) if is_val.any() else (X, codes)
        else:
            val = self._validation(*validation)
        if not (codes >= 0).any(axis=1).all():
            X, codes = (part[(codes >= 0).any(axis=1)] for part in (X, codes))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            self._train((X, codes), val, progress)
        return self

    def transform(self, X):
        """Embeddings, float32 (N, D), of unit length."""
        vectors = self.outputs(X)["embedding"]
        if self.shares_ is None:
            return vectors
        return metrics.at_shares(vectors, methods.block_dims(self.options), self.shares_)

    def outputs(self, X):
        """The ``embedding`` (N, D), of level blocks with equal shares, and any ``logits`` (N, ΣC).

        Logits are those of the classifiers, finest level first, float32.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return self._outputs(X)

    def save(self, path):
        """Write the fitted head to a .safetensors file, which holds no code."""
        check_is_fitted(self)
        about = {
            "parameters": self.get_params(),
            "classes": [[c.dtype.str, c.tolist()] for c in self.classes_],
            "history": self.history_.to_dict("list"),
            "shares": self.shares_,
        }
        text = json.dumps(about, default=lambda number: number.item())  # numpy's
        with written_aside(path) as aside:
            safetensors.torch.save_file(self.network_.state_dict(), aside, {"head": text})

    @classmethod
    def load(cls, path):
        """The head that `save` wrote.

        Raises
        ------
        ValueError
            If the file holds something else.
        """
        with safe_open(path, "pt") as file:
            about = (file.metadata() or {}).get("head")
            if about is None:
                raise ValueError(f"{path} holds no head that HeadTransformer.save wrote")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        about = json.loads(about)
        head = cls(**about["parameters"])
        head.classes_ = [np.array(names, dtype) for dtype, names in about["classes"]]
        head.history_ = pd.DataFrame(about["history"])
        head.shares_ = about["shares"] and tuple(about["shares"])
        head._build(len(tensors["mean"]))
        head.network_.load_state_dict(tensors)
        return head

    @property
    def options(self):
        """The parameters as `fgcl_utils.methods` reads them."""
        return SimpleNamespace(**self.get_params(), levels=range(len(self.classes_)))

    @property
    def _n_features_out(self):  # of get_feature_names_out
        return self.network_.width

    def _check_parameters(self, n_levels):
        if self.method not in METHODS:
            raise ValueError(f"method={self.method!r} is unknown: choose from {', '.join(METHODS)}")
        if METHODS[self.method].needs_levels and n_levels == 1:
            raise ValueError(
                f"method={self.method!r} compares levels, and there is one column of labels: give "
                "labels of shape (N, L), finest level first"
            )
        if self.head not in HEADS:
            raise ValueError(f"head={self.head!r} is unknown: choose from {', '.join(HEADS)}")
        counts = ["patience", "projection_dim", *(["epochs"] if self.epochs is not None else [])]
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: it must be at least 1")

    def _validation(self, features, y):
        """Validation rows given by the user, checked; features and codes."""
        features = validate_data(self, features, dtype=np.float32, reset=False)
        columns = of_labels.columns_of(y)
        check_consistent_length(features, *columns)
        if len(columns) != len(self.classes_):
            raise ValueError(
                f"validation has {len(columns)} levels of labels, and the training rows have "
                f"{len(self.classes_)}"
            )
        codes = of_labels.codes_of(columns, self.classes_)
        if not (codes >= 0).any():
            raise ValueError("validation has no class that the training rows have")
        return features, codes

    def _build(self, n_features):
        self.n_features_in_ = n_features
        self.network_ = Network(self.options, n_features, [len(c) for c in self.classes_])

    def _train(self, train, val, progress):
        """Train on features and codes; what is random here comes from torch's global generator."""
        X, codes = train
        self._build(X.shape[1])
        self.network_.standardise_as(X)
        loss = methods.loss_for(self.options, self.method, [len(c) for c in self.classes_])
        batches = Batches(codes, self.batch_size, self.random_state)
        epochs = self.epochs or epochs_for(len(X))
        step = Step(self.network_, loss, self, epochs * len(batches))
        targets, history, best, since_best = torch.from_numpy(codes), [], None, 0
        with bar_of(range(epochs), self.method, unit="epoch", disable=not progress) as bar:
            for epoch in bar:
                self.network_.train()
                losses = [
                    step(torch.from_numpy(X[rows]), targets[rows])
                    for rows in batches.of_epoch(epoch)
                ]
                row = self._epoch_row(epoch, torch.stack(losses), step)
                row |= self._accuracies(train, val)
                history.append(row)
                accuracy = row["val_accuracy"]
                bar.set_postfix(loss=f"{row['train_loss']:.3f}", val=f"{accuracy:.3f}")
                if best is None or not accuracy <= best[0]:  # without validation: the last
                    best, since_best = (accuracy, copy.deepcopy(self.network_.state_dict())), 0
                else:
                    since_best += 1
                if since_best >= self.patience:
                    break
        self.network_.load_state_dict(best[1])
        self.history_ = pd.DataFrame(history)
        in_blocks = METHODS[self.method].in_blocks
        self.shares_ = self._choose_shares(train, val) if in_blocks else None

    def _epoch_row(self, epoch, losses, step):
        loss = losses.mean().item()
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the {self.method} loss is {loss} in epoch {epoch + 1}: try a lower "
                "learning_rate or a higher temperature"
            )
        return {"epoch": epoch + 1, "train_loss": loss, "learning_rate": step.rate}

    def _outputs(self, X):
        parts = {}
        self.network_.eval()
        for rows in gen_batches(len(X), ROWS):
            with torch.inference_mode():
                part = torch.from_numpy(X[rows].copy())  # torch takes no reversed array
                projections, logits = self.network_(part)
                vectors = methods.embedding(projections, self.options, self.method)
            parts.setdefault("embedding", []).append(vectors.numpy())
            if logits is not None:
                parts.setdefault("logits", []).append(logits.numpy())
        return {name: np.concatenate(arrays) for name, arrays in parts.items()}

    def _accuracies(self, train, val):
        """Validation accuracies by the nearest centroid, and what the epoch is chosen by."""
        names = [f"val_accuracy_{l}" for l in range(len(self.classes_))]
        row = dict.fromkeys([*names, "val_accuracy"], math.nan)
        if not len(val[0]):
            return row
        of_train, of_val = (self._outputs(features) for features, _ in (train, val))
        for l, name in enumerate(names):
            known, is_known = val[1][:, l] >= 0, train[1][:, l] >= 0
            if known.any():
                centroids = of_train["embedding"][is_known], train[1][is_known, l]
                nearest = metrics.nearest_centroid(*centroids, of_val["embedding"][known])
                row[name] = float((nearest == val[1][known, l]).mean())
        row["val_accuracy"] = float(np.nanmean([row[name] for name in names]))
        if self.network_.as_they_are:
            known = val[1][:, 0] >= 0
            said = of_val["logits"][known].argmax(axis=1)
            row["val_accuracy"] = float((said == val[1][known, 0]).mean()) if len(said) else 0.0
        return row

    def _choose_shares(self, train, val):
        dims = methods.block_dims(self.options)
        blocks = [
            np.split(self._outputs(features)["embedding"], np.cumsum(dims)[:-1], axis=1)
            if len(features)
            else None
            for features, _ in (train, val)
        ]
        levels = [f"level {l}" for l in range(len(dims))]
        of_val = val[1] if len(val[1]) else None
        shares, _ = metrics.choose_shares(blocks[0], train[1], blocks[1], of_val, levels=levels)
        return shares
