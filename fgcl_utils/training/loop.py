"""The loop: one method trained on one data set with one seed, in one process or many.

CE, SupCon and HCL see the same batches, the same two views of every image and the same number of
steps; the loss is all that differs. A finished run is loaded, an interrupted one goes on after its
last whole epoch and ends as if it had never stopped: batches, views and dropout of an epoch depend
on (seed, epoch) alone. Any number of processes may resume what another number began.
"""

import contextlib
import math
import time

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from fgcl_utils import methods, metrics, progress, runs
from fgcl_utils.datasets import SPLITS
from fgcl_utils.files import home_dir, read_json, written_aside
from fgcl_utils.methods import METHODS
from fgcl_utils.models import build_model, placed
from fgcl_utils.sampling import HierarchicalBatchSampler
from fgcl_utils.settings import SettingsError
from fgcl_utils.training import checkpoints, failures, frozen, outcome, processes
from fgcl_utils.views import views_for

WARMUP_SHARE = 0.1  # of all steps
MAX_GRADIENT_NORM = 1.0
SMALLEST_SHARE = 8  # images of a batch in each process, on average


def train(settings, method, dataset):
    """Train `method`, or load it if this very run is finished.

    Parameters
    ----------
    settings : Settings
    method : str
        One of `fgcl_utils.methods.METHODS`.
    dataset : ImageDataset

    Returns
    -------
    dict
        folder, config, history, metrics and embeddings of the run, see `runs.load_run`.

    Raises
    ------
    SettingsError
        If the run folder belongs to another data set, or the settings do not fit the data.
    RunStopped, RunFailed
        For Ctrl-C; out of memory, a full disk, a folder that cannot be written: see `failures`.
    FloatingPointError
        If the loss is no longer finite.
    """
    if runs.is_made(settings, method):
        folder = runs.open_run(settings, method, dataset)
        made = read_json(folder / "config.json")["provenance"]
        print(f"{folder.relative_to(home_dir())} is finished: loaded, not trained again")
        print(f"made {made['date']} at commit {str(made['commit'])[:8]}")
    elif settings.encoder != "trained":
        frozen.make(settings, method, dataset)
    else:
        processes.on_every_gpu(_make, settings, method, dataset)
    return runs.load_run(settings, method)


def _make(settings, method, dataset):
    """Train a run or go on with it; called in every process that takes part."""
    accelerator = processes.make_accelerator(settings.precision)
    folder = runs.run_folder(settings, method)
    with failures.explained(folder, settings) as watch, contextlib.ExitStack() as held:
        if accelerator.is_main_process:
            held.enter_context(failures.sole_writer(folder))
            runs.open_run(settings, method, dataset)
            failures.remove_half_written(folder, dataset.cache_dir)
        accelerator.wait_for_everyone()
        if not runs.finished(folder):  # it may have been made while we waited, or kept aside
            trainer = Trainer(settings, method, dataset, folder, accelerator, watch)
            trainer.fit()
            trainer.finish()


def learning_rate_at(step, n_steps, peak):
    """Linear warm-up to `peak`, then a half cosine to zero at `n_steps`."""
    warmup = max(1, round(WARMUP_SHARE * n_steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, n_steps - warmup)))


class Trainer:
    """One training run and its folder, in each process that takes part.

    Parameters
    ----------
    settings, method, dataset
        As of `train`.
    folder : Path
        The run's, with its config.json.
    accelerator : Accelerator
    watch : SimpleNamespace
        Its `place` is kept up to date, see `failures.explained`.
    """

    def __init__(self, settings, method, dataset, folder, accelerator, watch):
        torch.manual_seed(settings.seed)
        self.settings, self.method, self.dataset, self.folder = settings, method, dataset, folder
        self.accelerator, self.watch = accelerator, watch
        n_processes = accelerator.num_processes
        if n_processes > 1 and settings.batch_size < n_processes * SMALLEST_SHARE:
            raise SettingsError(
                f"batch_size={settings.batch_size} is divided among {n_processes} processes: take "
                f"{n_processes * SMALLEST_SHARE} or more, or fewer processes"
            )
        with accelerator.main_process_first():  # the others find the images decoded
            self.images = dataset.images(settings.image_size)  # uint8 (N, S, S, 3)
        self.train_index = dataset.indices("train")
        self.val_index = dataset.indices("val")
        self.labels = torch.from_numpy(dataset.labels[self.train_index]).to(self.device)  # (M, L)
        self.sampler = HierarchicalBatchSampler(
            dataset.labels[self.train_index],
            settings.batch_size,
            seed=settings.seed,
            rank=accelerator.process_index,
            world_size=n_processes,
        )
        self.views = views_for(self.device, self.images, self.train_index, settings.seed)
        self.loader = DataLoader(
            self.views,
            batch_sampler=self.sampler,
            num_workers=settings.num_workers,
            persistent_workers=settings.num_workers > 0,
            pin_memory=self.device.type == "cuda",
            # Of its own, or drawing seeds for the loader processes would shift dropout's.
            generator=torch.Generator(),
        )
        n_classes = dataset.taxonomy.n_classes
        classified = methods.classified_levels(settings, method)
        with accelerator.main_process_first():  # and pretrained weights downloaded
            model = build_model(
                model_name=settings.model_name,
                image_size=settings.image_size,
                weights=settings.weights_source,
                head=settings.head if METHODS[method].has_head else "none",
                projection_dim=methods.projection_dim(settings, method),
                n_classes=[n_classes[l] for l in classified],
                classifies_projections=METHODS[method].classifies_head,
                block_dims=methods.classified_blocks(settings, method),
            )
        self.network = processes.share_batch_norm(placed(model, self.device), accelerator)
        optimizer = torch.optim.AdamW(
            _parameter_groups(self.network, settings.weight_decay), lr=settings.learning_rate
        )
        self.model, self.optimizer = accelerator.prepare(self.network, optimizer)
        self.loss = methods.loss_for(settings, method, n_classes)

    @property
    def device(self):
        return self.accelerator.device

    def fit(self):
        """Train from the last whole epoch, if there is one, to the last."""
        done, history = self._resume()
        epochs, steps = self.settings.epochs, len(self.sampler)
        with progress.bar(
            total=epochs * steps,
            initial=done * steps,
            desc=self.method,
            unit="step",
            disable=not self.accelerator.is_main_process,
        ) as bar:
            for epoch in range(done, epochs):
                row = self._train_epoch(epoch, bar)
                history.append(row)
                if self.accelerator.is_main_process:
                    self._save_epoch(epoch + 1, history)
                bar.set_postfix(epoch=f"{epoch + 1}/{epochs}", loss=f"{row['train_loss']:.3f}")

    def _resume(self):
        """Epochs done and their history; the state of the last whole epoch is put back."""
        path = self.folder / "checkpoint.safetensors"
        if not path.exists():
            return 0, []
        done = checkpoints.load(path, self.network, self.optimizer, self.accelerator.scaler)
        # pandas' faster way of reading numbers is off in the last digit.
        history = pd.read_csv(self.folder / "history.csv", float_precision="round_trip")
        self.accelerator.print(f"resuming {self.folder.name} of {self.method} after epoch {done}")
        return done, history.to_dict("records")[:done]

    def _save_epoch(self, epochs_done, history):
        # History first: rows past the checkpoint's epoch are dropped on resuming.
        with written_aside(self.folder / "history.csv") as aside:
            pd.DataFrame(history).to_csv(aside, index=False)
        self._save_weights(epochs_done, optimizer=self.optimizer, scaler=self.accelerator.scaler)

    def _save_weights(self, epochs_done, **state):
        path = self.folder / "checkpoint.safetensors"
        checkpoints.save(path, epochs_done, self.network, **state)

    def _train_epoch(self, epoch, bar):
        """One pass over the training split; the epoch's row of history.csv."""
        started = time.perf_counter()
        # Of dropout, for which each process draws its own; 0 at the end of a key changes nothing.
        key = [self.settings.seed, epoch, self.accelerator.process_index]
        torch.manual_seed(np.random.SeedSequence(key).generate_state(1)[0])
        self.sampler.set_epoch(epoch)
        self.views.set_epoch(epoch)
        self.model.train()
        losses, sums = [], None
        n_steps = self.settings.epochs * len(self.sampler)
        here = f"in epoch {epoch + 1} of {self.settings.epochs}"
        for step, batch in enumerate(self.loader):
            self.watch.place = f"{here}, step {step + 1} of {len(self.sampler)}"
            rate = learning_rate_at(
                epoch * len(self.sampler) + step, n_steps, self.settings.learning_rate
            )
            views, positions = self.views.to_device(batch, self.device)  # (2B, 3, S, S), (B,)
            labels = self.labels[positions].repeat(2, 1)  # (2B, L)
            loss, embedding = self._step(views, labels, rate)
            if not losses:  # the last row is for labels that are not known (−1)
                n_classes = self.dataset.taxonomy.n_classes[:2]
                sums = [embedding.new_zeros(n + 1, embedding.shape[1]) for n in n_classes]
            for of_level, label in zip(sums, labels.T, strict=False):
                of_level.index_add_(0, label.remainder(len(of_level)), embedding)
            losses.append(loss)
            bar.update()
        self.watch.place = f"{here}, after its last step"
        losses = self.accelerator.reduce(torch.stack(losses), "mean")
        if not losses.isfinite().all():
            raise FloatingPointError(
                f"the {self.method} loss is {losses[~losses.isfinite()][0].item()} in epoch "
                f"{epoch + 1}: try a lower learning_rate, a higher temperature or precision=float32"
            )
        return {
            "epoch": epoch + 1,
            "train_loss": losses.mean().item(),
            "learning_rate": rate,
            **self._validate([self.accelerator.reduce(of_level, "sum") for of_level in sums]),
            "seconds": time.perf_counter() - started,
        }

    def _step(self, views, labels, rate):
        """One optimizer step; the loss (detached, on the device) and the embedding (2B, D)."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with self.accelerator.autocast():
            _, projections, logits = self.model(views)
            loss = self.loss(projections, logits, labels)
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        return loss.detach(), methods.embedding(projections.detach(), self.settings, self.method)

    def _validate(self, class_sums):
        """Validation outliers and accuracy against the epoch's own training embeddings.

        `class_sums` are those of the two finest levels, (C + 1, D) each.
        """
        levels = self.dataset.taxonomy.levels
        names = [f"val_{levels[0]}_accuracy", *(f"val_{l}_outlier_rate" for l in levels[1:2])]
        if not len(self.val_index):
            return dict.fromkeys(names, np.nan)
        vectors = self.embed(self.val_index)["embedding"]
        wrong = []
        for labels, sums in zip(self.dataset.labels[self.val_index].T, class_sums, strict=False):
            sums = sums[:-1].cpu().double().numpy()  # (C, D)
            seen = np.flatnonzero(np.linalg.norm(sums, axis=1))
            nearest = seen[np.argmax(vectors @ metrics.unit(sums[seen]).T, axis=1)]
            known = labels >= 0
            wrong.append(float((nearest != labels)[known].mean()) if known.any() else np.nan)
        return dict(zip(names, [1 - wrong[0], *wrong[1:]], strict=True))

    @torch.inference_mode()
    def embed(self, indices):
        """encoder (n, F), embedding (n, D) and, of a classifier, logits (n, C) of images."""
        self.network.eval()
        batches = []
        share = processes.share_of(indices, self.accelerator)
        # As many as training holds, so the memory is there.
        size = max(1, 2 * self.settings.batch_size // self.accelerator.num_processes)
        for start in range(0, len(share), size):
            pixels = torch.from_numpy(self.images[share[start : start + size]])
            pixels = pixels.to(self.device).permute(0, 3, 1, 2).float() / 255  # (n, 3, S, S)
            with self.accelerator.autocast():
                features, projections, logits = self.network(pixels)
            vectors = methods.embedding(projections, self.settings, self.method)
            parts = {"encoder": features, "embedding": vectors}
            if logits is not None:
                parts["logits"] = logits
            batches.append({name: part.float().cpu() for name, part in parts.items()})
        whole = {}
        for name in batches[0]:
            rows = torch.cat([batch[name] for batch in batches])
            whole[name] = processes.gathered(rows, len(indices), self.accelerator).numpy()
        return whole

    def finish(self):
        """Embed every split without augmentation, and write what the study reads."""
        started = time.perf_counter()
        self.watch.place = "while the splits were embedded and measured"
        splits = [split for split in SPLITS if len(self.dataset.indices(split))]
        embedded = {split: self.embed(self.dataset.indices(split)) for split in splits}
        if self.accelerator.is_main_process:
            seconds = float(pd.read_csv(self.folder / "history.csv")["seconds"].sum())
            self._save_weights(self.settings.epochs)
            made = self.folder, self.settings, self.method, self.dataset
            outcome.write(*made, embedded, seconds, started)
        self.accelerator.wait_for_everyone()


def _parameter_groups(model, weight_decay):
    """Weights decay; biases, norms and position embeddings do not (timm's convention)."""
    decay, keep = [], []
    no_decay = getattr(model.encoder, "no_weight_decay", set)()
    for name, parameter in model.named_parameters():
        exempt = parameter.ndim < 2 or name.removeprefix("encoder.") in no_decay
        (keep if exempt else decay).append(parameter)
    return [
        {"params": decay, "weight_decay": weight_decay},
        {"params": keep, "weight_decay": 0.0},
    ]
