"""Losses that others proposed for nested labels, beside the study's methods, as heads.

    python experiments/rivals.py profiles/frozen.yaml --seeds 5
    python experiments/rivals.py profiles/snakes_heads.yaml --seeds 5 -p data_root PATH

Each is a few lines on top of ours; head, batches, epochs and the choice of the epoch are those of
every other method. Makes the runs that are not finished, one after the other, and adds them to
results/<profile>.json, as `make study` does with the study's own methods.

=========  =============================================================================
`hmlc`     Zhang et al. 2022, "Use all the labels": SupCon with the labels of each level,
           weighted by 2^(1/l) from the finest, l = 1, as their code does (their paper has
           exp(1/l)). No level's loss is below that of a finer one; theirs compares
           the means of a batch, and so does ours.
`cpcc`     Zeng et al. 2023: cross-entropy less λ times the correlation of the distances
           between the mean projections of the species in a batch with those in the tree;
           λ = 1, Euclidean distances.
`summed`   hierarchical cross-entropy: a class of a coarser level is as likely as its
           species together; the cross-entropies of all levels are added.
=========  =============================================================================
"""

import argparse
import itertools
import sys

import torch
import yaml
from torch.nn import functional as F
from tqdm import tqdm

from fgcl_utils import training
from fgcl_utils.losses import SupConLoss
from fgcl_utils.methods import CONTRASTIVE, METHODS, Method, cross_entropy
from fgcl_utils.settings import SettingsError, load_dataset
from fgcl_utils.study.plan import described, plan, read_spec
from fgcl_utils.study.record import read_record, write_record

CPCC_WEIGHT = 1.0
NEVER = -1e4  # logarithm of a probability


def hmlc(options, n_classes):
    supcon = SupConLoss(options.temperature)

    def loss(projections, logits, labels):
        total, finer = 0.0, projections.new_zeros(())
        for level, of_level in enumerate(labels.T, 1):
            finer = torch.maximum(finer, supcon(projections, of_level))
            total = total + 2 ** (1 / level) * finer
        return total / labels.shape[1]

    return loss


def cpcc(options, n_classes):
    def loss(projections, logits, labels):
        known = labels[:, 0] >= 0
        classify = cross_entropy(logits, labels[:, 0])
        species, of_row = labels[known, 0].unique(return_inverse=True)
        if len(species) < 3:
            return classify
        sums = projections.new_zeros(len(species), projections.shape[1])
        means = sums.index_add(0, of_row, projections[known])
        means = means / of_row.bincount()[:, None]
        place = torch.empty_like(species).scatter_(0, of_row, torch.arange(len(of_row)))
        path = labels[known][place]  # (C, L)
        one, other = torch.triu_indices(len(species), len(species), 1)
        distance = (means[one] - means[other]).norm(dim=1)
        shared = (path[one] == path[other]).sum(dim=1)
        in_tree = 2.0 * (labels.shape[1] - shared)
        correlation = torch.corrcoef(torch.stack([distance, in_tree]))[0, 1]
        # Undefined where all pairs are equally far apart in the tree.
        return classify - CPCC_WEIGHT * correlation.nan_to_num()

    return loss


def summed(options, n_classes):
    # Of each species, its class at the coarser levels; learnt from the batches as they come.
    parents = torch.full((n_classes[0], len(n_classes)), -1)

    def loss(projections, logits, labels):
        known = labels[:, 0] >= 0
        parents[labels[known, 0]] = labels[known]
        log_p = logits.log_softmax(dim=1)
        total = cross_entropy(logits, labels[:, 0])
        for level, n in itertools.islice(enumerate(n_classes), 1, None):
            in_class = parents[:, level] == torch.arange(n)[:, None]  # (n, C)
            # A class of which no species was seen yet has next to no probability, and no part.
            of_class = torch.where(in_class, log_p[:, None, :], NEVER).logsumexp(dim=2)
            target = torch.where(in_class.any(dim=1)[labels[:, level]], labels[:, level], -1)
            total = total + F.nll_loss(of_class, target, ignore_index=-1)
        return total

    return loss


ON_HEAD = {"classified": "finest", "classifies_head": True, "needs_levels": True}
RIVALS = {
    "hmlc": Method(None, CONTRASTIVE, needs_levels=True, loss=hmlc),
    "cpcc": Method(None, ("head", "projection_dim"), **ON_HEAD, loss=cpcc),
    "summed": Method(None, ("head", "projection_dim"), **ON_HEAD, loss=summed),
}
METHODS.update(RIVALS)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", help="a profile with `encoder: frozen`")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("-p", nargs=2, action="append", default=[], dest="parameters")
    options = parser.parse_args(arguments)
    try:
        _command(options)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def _command(options):
    parameters = {name: yaml.safe_load(value) for name, value in options.parameters}
    spec = read_spec(options.file)
    jobs = plan(spec, options.seeds, parameters, options.methods)
    if jobs[0].settings.encoder == "trained":
        raise SettingsError(
            f"{options.file} trains the encoder: give a profile with encoder: frozen"
        )
    read_record(spec, jobs, parameters)  # if that fails, it should do so before the runs
    dataset = load_dataset(jobs[0].settings)
    for job in tqdm([job for job in jobs if not job.is_finished], unit="run"):
        tqdm.write(described(job), file=sys.stderr)
        training.train(job.settings, job.method, dataset)
    print(write_record(spec, jobs, parameters))


if __name__ == "__main__":
    main()
