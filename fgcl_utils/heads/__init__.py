"""Heads on frozen features: the methods of the study, in seconds and without images.

Features may come from any network. A head is trained on them with the study's losses; it is a
scikit-learn transformer from features to embeddings::

    head = HeadTransformer(method="hcl_blocks").fit(features, labels)   # (N, F), (N, L)
    embedding = head.transform(new_features)                            # (M, D), rows of length 1

=============  ===================================================================
`transformer`  the estimator: start here
`network`      what it trains, and a step of the training
`labels`       labels of any kind as codes, and which rows to validate with
=============  ===================================================================

``python -m fgcl_utils.heads`` is the command that makes a run of a file of features.
"""

from fgcl_utils.heads.transformer import HeadTransformer, fit_head

__all__ = ["HeadTransformer", "fit_head"]
